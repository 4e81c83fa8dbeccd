//! What people and programs meet: thin, each a translation to one call into `sessions`.

pub mod cli;
pub mod lsp;
pub mod mcp;
