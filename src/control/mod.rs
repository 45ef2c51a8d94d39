//! The control API: what `connexactl` and others see of the daemon.

pub mod api;
