//! The command lines of the two programs. Their help, their completions and the pages of the manual
//! (`docs/man`) are made from these types.

pub mod connexactl;
pub mod connexad;
