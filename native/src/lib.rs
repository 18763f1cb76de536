//! The native engine of `mirror`: verifies and merges batches of bundles.
//!
//! It never refuses and never names a fault. It answers each item with all that follows from it, if
//! it passes every rule without any finding, or else with None: then Python judges.

#![forbid(unsafe_code)]

/// The version of the rules of verdicts and merge that this engine follows.
pub const RULES: &str = "pith-open-graph-merge-v1 verdicts-2";

mod bundle;
mod content;
mod curve;
mod database;
pub mod engine;
mod event;
mod field;
pub mod json;
mod merge;
mod msgpack;
mod record;
pub mod settings;
mod signature;
mod stored;
pub mod tables;
pub mod tree;
mod value;

mod python;
