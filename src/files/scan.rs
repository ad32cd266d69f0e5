//! stub
use crate::domain::manifest::*;
use super::rules::Rules;
use std::path::Path;
/// s
#[derive(Debug)]
pub struct Scan { /// m
 pub manifest: Manifest, /// m
 pub skipped: Vec<(TreePath, String)>, /// m
 pub escaping: Vec<TreePath> }
/// s
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct ScanError;
/// s
pub fn scan(_: &Path, _: &Rules, _: &tokio_util::sync::CancellationToken) -> Result<Scan, ScanError> { unimplemented!() }
