//! Which build this is.

/// The version, and in brackets the commit of a release build, e.g. `0.2.0 (97af2ff0c4d1)`.
pub const VERSION: &str = env!("CONNEXA_VERSION");
