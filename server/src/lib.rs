//! Kernel Keeper: Jupyter kernels that outlive the editor. ARCHITECTURE.md draws the map.

pub mod protocol;
pub mod registry;
pub mod renames;
