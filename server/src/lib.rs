//! Kernel Keeper: Jupyter kernels that outlive the editor. ARCHITECTURE.md draws the map.

pub mod jupyter;
pub mod process;
pub mod protocol;
