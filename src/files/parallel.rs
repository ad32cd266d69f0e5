//! Work on many things, on every processor.

use std::thread;

/// How many threads work at once, at most: the disk is what they wait for beyond that.
const THREADS_MAX: usize = 4;
/// How many things are worth a thread of their own.
const WORTH_IT: usize = 2_000;

/// Does something with all of a list: in parts next to each other, side by side where there is enough to do. The results
/// come in the order of the list. Blocks.
///
/// # Errors
/// The first in that order.
pub(super) fn spread<T: Sync, R: Send, E: Send>(all: &[T], work: impl Fn(&[T]) -> Result<Vec<R>, E> + Sync) -> Result<Vec<R>, E> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX).min(all.len() / WORTH_IT);
    if threads < 2 {
        return work(all);
    }
    let work = &work;
    let results: Vec<_> = thread::scope(|scope| {
        let begun: Vec<_> = all.chunks(all.len().div_ceil(threads)).map(|part| scope.spawn(move || work(part))).collect();
        begun.into_iter().map(|thread| thread.join().unwrap_or_else(|died| std::panic::resume_unwind(died))).collect()
    });
    let mut together = Vec::with_capacity(all.len());
    for result in results {
        together.extend(result?);
    }
    Ok(together)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_once_and_comes_in_order() {
        for count in [0, 1, WORTH_IT, 2 * WORTH_IT, 7 * WORTH_IT + 3] {
            let all: Vec<usize> = (0..count).collect();
            assert_eq!(spread(&all, |part| Ok::<_, ()>(part.to_vec())), Ok(all.clone()));
            let fails = |part: &[usize]| part.iter().map(|n| if n % 1_000 == 999 { Err(*n) } else { Ok(*n) }).collect();
            assert_eq!(spread(&all, fails), if count < 1_000 { Ok(all) } else { Err(999) });
        }
    }
}
