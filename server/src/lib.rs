//! Kernel Keeper: Jupyter kernels that outlive the editor. ARCHITECTURE.md draws the map.

pub mod faces;
pub mod foreign;
pub mod ids;
pub mod journal;
pub mod jupyter;
pub mod keeper;
pub mod paths;
pub mod process;
pub mod protocol;
pub mod registry;
pub mod renames;
pub mod sessions;
