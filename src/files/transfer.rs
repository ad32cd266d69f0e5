//! stub
use crate::domain::manifest::*;
use crate::domain::failure::Failure;
use std::path::Path;
/// p
#[derive(Debug)]
pub struct Promoted { /// c
 pub copied: usize, /// c
 pub deleted: usize }
/// s
pub async fn stage(_: &Path, _: &Path, _: &Manifest, _: &str, _: &mut (dyn FnMut(&str) + Send), _: &tokio_util::sync::CancellationToken) -> Result<(), Failure> { unimplemented!() }
/// s
pub async fn promote(_: &Path, _: &Path, _: &Changes, _: &Manifest, _: Option<&Manifest>, _: &str, _: &mut (dyn FnMut(&str) + Send)) -> Result<Promoted, Failure> { unimplemented!() }
