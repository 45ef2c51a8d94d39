//! connexactl's commands.

mod status;

pub use status::{StatusView, show_status};
