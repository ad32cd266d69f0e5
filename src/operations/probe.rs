//! The probe: an address that must answer once the services are up.

use std::time::Duration;

use tokio::time::Instant;

use super::recorder::Recorder;
use super::runner::Stop;
use super::tools::Tools;
use crate::domain::event::Progress;
use crate::domain::failure::Failure;
use crate::domain::outcome::ServiceOutcome;
use crate::domain::project::Project;
use crate::domain::untrusted::UntrustedText;

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How long is waited between attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// How long the probe is tried; the services are up already.
const PATIENCE: Duration = Duration::from_secs(15);

/// Asks the project's probe, where it has one, until it answers with a status below 400.
pub(super) async fn probe(tools: &Tools, project: &Project, recorder: &Recorder) -> Result<Option<ServiceOutcome>, Stop> {
    let Some(probe) = &project.deploy.probe else { return Ok(None) };
    let address = UntrustedText::address(probe);
    let what = "The services are up, and the probe does not answer.";
    let next = format!("Open {address} yourself and read the log; correct \"deploy.probe\" if it is the address that is wrong.");
    let client = reqwest::Client::builder().timeout(ATTEMPT).redirect(reqwest::redirect::Policy::none()).build();
    let client = client.map_err(|e| {
        Failure::new(what, format!("It could not be asked: {}.", UntrustedText::from(e.without_url().to_string())), next.clone())
    })?;
    let deadline = Instant::now() + PATIENCE;
    recorder.service("probe", Progress::Working, format!("asking {address}"));
    loop {
        let seen = match client.get(probe).send().await {
            Ok(answer) if answer.status().as_u16() < 400 => {
                let seen = format!("answers with {}", answer.status().as_u16());
                recorder.service("probe", Progress::Done, seen.clone());
                return Ok(Some(ServiceOutcome { service: "probe".to_owned(), good: true, seen }));
            }
            Ok(answer) => format!("{address} answers with {}", answer.status()),
            Err(error) if error.is_timeout() => format!("{address} does not answer within {} s", ATTEMPT.as_secs()),
            Err(error) => format!("{address} cannot be reached{}", if error.is_connect() { ": nothing listens there" } else { "" }),
        };
        if tools.stopping.is_cancelled() {
            let why = "dockmaster was stopped before the probe answered.";
            let failure = Failure::new("The services are up, and the probe was not asked to the end.", why, next);
            return Err(Stop::cut_short(failure, true));
        }
        if Instant::now() >= deadline {
            recorder.service("probe", Progress::Failed, seen.clone());
            return Err(Failure::new(what, format!("{seen}."), next).into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
