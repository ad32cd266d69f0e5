//! The parts of dockmaster that hold something of the configuration: each is told what changed, and answers whether it
//! took that over.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::domain::reload::{Change, FailedPart};
use crate::domain::text::duration;

/// How long a part may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a part is asked to take over.
#[derive(Debug)]
pub struct Takeover {
    /// What changed.
    pub change: Change,
    answer: oneshot::Sender<Result<Taken, Refused>>,
}

/// Why a part keeps what it had.
#[derive(Debug)]
struct Refused {
    why: String,
    tries_again: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// The plans that were withdrawn for it, in a few words each.
    pub withdrawn: Vec<String>,
    /// The projects whose compose files cannot be read as they are configured now, and why, in a sentence each.
    pub unreadable: Vec<String>,
}

impl Takeover {
    /// It was taken over.
    pub fn done(self, taken: Taken) {
        // Whoever asked may have lost patience.
        let _ = self.answer.send(Ok(taken));
    }

    /// It could not be: the part keeps what it had.
    pub fn failed(self, why: String) {
        let _ = self.answer.send(Err(Refused { why, tries_again: false }));
    }

    /// It could not be yet: the part keeps what it had, and tries again by itself.
    pub fn later(self, why: String) {
        let _ = self.answer.send(Err(Refused { why, tries_again: true }));
    }
}

/// A part's name, and the way to it.
type Part = (&'static str, mpsc::Sender<Takeover>);

/// The parts. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts(Arc<Mutex<Vec<Part>>>);

impl Parts {
    /// A part that is told from now on, until the receiver is dropped.
    pub(super) fn add(&self, name: &'static str) -> mpsc::Receiver<Takeover> {
        // One that is slow is not asked again before it has answered.
        let (sender, receiver) = mpsc::channel(1);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name, sender));
        receiver
    }

    /// Tells all of them, side by side. Which failed, and what came of it in the others.
    pub(super) async fn tell(&self, change: &Change) -> (Vec<FailedPart>, Taken) {
        self.tell_within(change, PATIENCE).await
    }

    async fn tell_within(&self, change: &Change, patience: Duration) -> (Vec<FailedPart>, Taken) {
        let all = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|(_, sender)| !sender.is_closed());
            all.clone()
        };
        let answers =
            join_all(all.into_iter().map(|(name, sender)| async move { (name, ask(&sender, change.clone(), patience).await) })).await;
        let (mut failed, mut taken) = (Vec::new(), Taken::default());
        for (name, answer) in answers {
            match answer {
                Ok(more) => {
                    taken.withdrawn.extend(more.withdrawn);
                    taken.unreadable.extend(more.unreadable);
                }
                Err(Refused { why, tries_again }) => {
                    tracing::error!(part = name, why, tries_again, "keeps its old configuration");
                    failed.push(FailedPart { part: name.to_owned(), why, tries_again });
                }
            }
        }
        (failed, taken)
    }
}

async fn ask(part: &mpsc::Sender<Takeover>, change: Change, patience: Duration) -> Result<Taken, Refused> {
    let (answer, answered) = oneshot::channel();
    let asked = async {
        part.send(Takeover { change, answer }).await.map_err(|_| ())?;
        answered.await.map_err(|_| ())
    };
    match timeout(patience, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(())) => Err(Refused { why: "it ended".to_owned(), tries_again: false }),
        Err(_) => {
            let why = format!("it did not answer within {}", duration(i64::try_from(patience.as_millis()).unwrap_or(i64::MAX)));
            Err(Refused { why, tries_again: false })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::project::Configuration;

    fn change() -> Change {
        let config = Arc::new(Configuration {
            default_project: None,
            users: [].into(),
            chats: [].into(),
            confirm_timeout: Duration::from_secs(60),
            reload: crate::domain::reload::ReloadPolicy::default(),
            warn_below: crate::domain::space::SpaceLimit::default(),
            docker: true,
            registry_credentials: None,
            projects: [].into(),
        });
        Change { old: config.clone(), new: config }
    }

    #[tokio::test]
    async fn each_part_answers_for_itself() {
        let parts = Parts::default();
        let mut all = [parts.add("good"), parts.add("bad"), parts.add("slow"), parts.add("dead")];
        let gone = parts.add("gone");
        drop(gone);
        let [good, bad, slow, dead] = &mut all;
        let answers = async {
            good.recv().await.unwrap().done(Taken { withdrawn: vec!["Deploy shop".to_owned()], unreadable: vec!["no".to_owned()] });
            bad.recv().await.unwrap().failed("no".to_owned());
            drop(dead.recv().await.unwrap());
            slow.recv().await.unwrap()
        };
        let change = change();
        let ((failed, taken), kept) = tokio::join!(parts.tell_within(&change, Duration::from_millis(200)), answers);
        assert_eq!((taken.withdrawn, taken.unreadable), (vec!["Deploy shop".to_owned()], vec!["no".to_owned()]));
        let told: Vec<String> = failed.iter().map(|f| format!("{}: {}", f.part, f.why)).collect();
        assert_eq!(told, ["bad: no", "slow: it did not answer within 200 ms", "dead: it ended"]);
        // An answer that comes too late is nobody's.
        kept.done(Taken::default());
    }
}
