//! Images pulled before anything stops, with who we are told to the registry.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use super::super::runner::{Job, StepResult};
use super::of;
use crate::domain::failure::Failure;
use crate::domain::plan::Step;
use crate::domain::project::ServiceName;
use crate::domain::text::count;
use crate::domain::untrusted::UntrustedText;
use crate::engine::create::{Login, Pulled};
use crate::engine::credentials;
use crate::untrusted;

/// How long an image may take.
const LIMIT: Duration = Duration::from_secs(30 * 60);
/// How often its progress is told.
const TOLD_EVERY: Duration = Duration::from_millis(500);
/// The longest file with credentials that is read.
const CREDENTIALS_MAX: u64 = 1024 * 1024;

/// Pulls the images of some services, one after another.
pub(in super::super) async fn pull(job: &Job, step: &Step, services: &[ServiceName]) -> StepResult {
    let managed = of(&job.project);
    let definitions = services.iter().filter_map(|service| managed?.services.get(service)?.container());
    let images: BTreeSet<&str> = definitions.map(|container| container.image.as_str()).collect();
    let cancel = job.cancel_for(step);
    for image in &images {
        let what = format!("{} could not be pulled.", UntrustedText::from(*image));
        let login = login(&what, managed.and_then(|m| m.registry_credentials.as_deref()), image).await?;
        let known = login.is_some();
        tokio::select! {
            pulled = one(job, image, login) => pulled.map_err(|why| refused(&what, image, &why, known))?,
            () = tokio::time::sleep(LIMIT) => {
                let why = format!("It took longer than {} minutes.", LIMIT.as_secs() / 60);
                return Err(Failure::new(what, why, "See how the registry and the network are, and ask again.").into());
            }
            () = cancel.cancelled() => return Err(Failure::new(what, "It was cancelled.", "Ask again.").into()),
        }
    }
    Ok(Some(count(images.len(), "image")))
}

async fn one(job: &Job, image: &str, login: Option<Login>) -> Result<(), String> {
    let mut told = Box::pin(job.tools.docker.pull(image, login));
    let mut last: Option<Instant> = None;
    while let Some(progress) = told.next().await {
        let progress = progress.map_err(|e| e.to_string())?;
        if progress.layers > 0 && last.is_none_or(|last| last.elapsed() >= TOLD_EVERY) {
            last = Some(Instant::now());
            job.recorder.line(&line(image, &progress));
        }
    }
    // An engine that goes away ends its answer like one that is done.
    match job.tools.docker.image_id(image).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err("the engine said no more, and the image is not there".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn line(image: &str, progress: &Pulled) -> String {
    let Pulled { done, layers, bytes, total } = progress;
    format!("{image}: {done} of {}, {} of {} MB", count(*layers, "layer"), bytes / 1_000_000, total.div_ceil(1_000_000))
}

fn refused(what: &str, image: &str, why: &str, known: bool) -> Failure {
    let registry = credentials::registry_of(image);
    let next = match known {
        true => "See that the image is there, and that the login of \"registry_credentials\" may pull it.".to_owned(),
        false => format!(
            "See that the image is there; where {} wants a login, name one with \"registry_credentials\".",
            UntrustedText::from(registry)
        ),
    };
    Failure::new(what, format!("{}.", crate::domain::text::capital(why.trim_end_matches('.'))), next)
}

async fn login(what: &str, file: Option<&Path>, image: &str) -> Result<Option<Login>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let wrong = |why: String| {
        let why = format!("The credentials in {} cannot be used: {why}.", UntrustedText::path(&file));
        Failure::new(what, why, "Mend that file, or correct \"registry_credentials\", and ask again.")
    };
    let owned = file.to_owned();
    let read = untrusted::off_runtime(move || untrusted::read_text(&owned, CREDENTIALS_MAX)).await.and_then(|read| read);
    let text = read.map_err(|e| wrong(e.reason()))?;
    credentials::login(&text, image).map_err(wrong)
}
