//! Trying again what may pass: an engine that does not answer for a moment, a port that is not free yet.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How often something is tried.
pub(super) const ATTEMPTS: u32 = 3;
/// How long is waited before the next attempt.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

/// Tries something until it succeeds, fails for good, or was tried often enough, with a pause between (which is [`PAUSE`]);
/// `ending` ends that. `again` is told which attempt comes next and why. Each attempt is told which it is, counted from 1.
///
/// # Errors
/// That of the last attempt.
pub(super) async fn attempts<T, E, F>(
    pause: Duration,
    ending: &CancellationToken,
    mut try_it: impl FnMut(u32) -> F,
    may_pass: impl Fn(&E) -> bool,
    mut again: impl FnMut(u32, &E),
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut attempt = 1;
    loop {
        let error = match try_it(attempt).await {
            Ok(done) => return Ok(done),
            Err(error) if attempt == ATTEMPTS || ending.is_cancelled() || !may_pass(&error) => return Err(error),
            Err(error) => error,
        };
        attempt += 1;
        again(attempt, &error);
        tokio::select! {
            () = ending.cancelled() => return Err(error),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// What is seen before another attempt.
pub(super) fn announced(attempt: u32, why: &str) -> String {
    format!("{why}; attempt {attempt} of {ATTEMPTS} in {} s", PAUSE.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(30);

    /// Tries what fails so many times first.
    async fn tried(failures: u32, passing: bool, ended: bool) -> (Result<u32, u32>, Vec<u32>, Duration) {
        let (ending, mut told, began) = (CancellationToken::new(), Vec::new(), tokio::time::Instant::now());
        if ended {
            ending.cancel();
        }
        let try_it = |attempt| async move { if attempt > failures { Ok(attempt) } else { Err(attempt) } };
        let came = attempts(SHORT, &ending, try_it, |_| passing, |attempt, _| told.push(attempt)).await;
        (came, told, began.elapsed())
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_three_times_with_a_pause_between() {
        let (came, told, took) = tried(0, true, false).await;
        assert_eq!((came, told), (Ok(1), vec![]));
        assert!(took < SHORT, "{took:?}");
        let (came, told, took) = tried(2, true, false).await;
        assert_eq!((came, told), (Ok(3), vec![2, 3]));
        assert!(took >= 2 * SHORT, "{took:?}");
        assert_eq!(tried(9, true, false).await.0, Err(ATTEMPTS));
        let (came, told, _) = tried(9, false, false).await;
        assert_eq!((came, told), (Err(1), vec![]), "what does not pass fails at once");
        let (came, told, _) = tried(9, true, true).await;
        assert_eq!((came, told), (Err(1), vec![]), "nor is it tried again where it is to end");
    }

    #[tokio::test]
    async fn an_end_is_not_waited_for() {
        let ending = CancellationToken::new();
        let again = |_, _: &u32| ending.cancel();
        let came = attempts(Duration::from_secs(3_600), &ending, |attempt| async move { Err::<(), u32>(attempt) }, |_| true, again).await;
        assert_eq!(came, Err(1));
    }
}
