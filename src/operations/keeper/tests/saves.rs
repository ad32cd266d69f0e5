//! Every kind of save is in force in time, and no part of one ever is.

use std::os::unix::fs::symlink;

use super::*;
use kinds::{KINDS, RENAMED, touch};

/// Within which a change must be in force where events arrive.
const WITHIN_EVENTS: (Watching, Duration) = (Watching::Events, Duration::from_secs(1));
/// The same where it is only looked, once a second.
const WITHIN_POLL: (Watching, Duration) = (Watching::Poll, Duration::from_secs(2));

/// A pause that comes out differently each time, so that saves fall before, between and after looks.
async fn pause(number: usize) {
    sleep(Duration::from_millis(number as u64 * 379 % 1_000)).await;
}

/// A keeper of what was saved in this way.
async fn saved_as(save: kinds::Save, text: &str) -> Kept {
    Kept::new(|root| {
        fs::create_dir_all(root.join("etc")).unwrap();
        save.1(&root.join("etc"), text, 0);
    })
    .await
}

async fn is_in_force_in_time((kind, save): kinds::Save, (watch, within): (Watching, Duration)) {
    let mut kept = saved_as((kind, save), &text(watch, 0)).await;
    assert_eq!(kept.keeper.standing().watching, watch);
    let mut all = Vec::new();
    for n in saves() {
        save(&kept.path(""), &text(watch, n), n);
        let took = kept.in_force(n).await;
        assert!(took < within, "{kind}, save {n}, {}: {took:?}", watch.word());
        all.push(took);
        pause(n).await;
    }
    all.sort();
    println!("{kind}, {}: {:?}, at worst {:?}", watch.word(), all[all.len() / 2], all[all.len() - 1]);
    assert_eq!(kept.keeper.standing().rejected, None, "{kind}");
    // One for each save, and no other.
    kept.versions(saves().len() + 1).await;
    kept.keeper.reload(Cause::Saved, None).await;
    kept.versions(saves().len() + 1).await;
    kept.told(saves().len()).await;
}

/// Side by side: what takes time is waiting.
async fn every_kind(within: (Watching, Duration)) {
    let all = KINDS.map(|save| tokio::spawn(is_in_force_in_time(save, within)));
    for kind in all {
        kind.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_save_is_in_force_in_time_by_events() {
    every_kind(WITHIN_EVENTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_save_is_in_force_in_time_by_looking() {
    every_kind(WITHIN_POLL).await;
}

/// Where a link leads to another directory, and what is replaced is there.
async fn elsewhere_is_in_force_in_time((watch, within): (Watching, Duration)) {
    let (_, swap) = KINDS[4];
    let mut kept = Kept::new(|root| {
        for directory in ["etc", "mounted"] {
            fs::create_dir(root.join(directory)).unwrap();
        }
        swap(&root.join("mounted"), &text(watch, 0), 0);
        symlink("../mounted/projects.json", root.join("etc/projects.json")).unwrap();
    })
    .await;
    for n in saves() {
        swap(&kept.place.path().join("mounted"), &text(watch, n), n);
        let took = kept.in_force(n).await;
        assert!(took < within, "save {n}, {}: {took:?}", watch.word());
        pause(n).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_link_leads_to_elsewhere_is_in_force_in_time() {
    tokio::join!(elsewhere_is_in_force_in_time(WITHIN_EVENTS), elsewhere_is_in_force_in_time(WITHIN_POLL));
}

async fn a_touch_changes_nothing((watch, within): (Watching, Duration)) {
    let mut kept = saved_as(RENAMED, &text(watch, 0)).await;
    let before = kept.keeper.standing();
    for n in saves() {
        touch(&kept.path(""));
        // Some are followed by another before they were looked at, and some are not.
        pause(n).await;
    }
    sleep(within).await;
    assert_eq!(kept.keeper.standing(), before);
    touch(&kept.path(""));
    RENAMED.1(&kept.path(""), &text(watch, 1), 1);
    let took = kept.in_force(1).await;
    assert!(took < within, "{}: {took:?}", watch.word());
    kept.versions(2).await;
    kept.told(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_touch_is_no_reload() {
    tokio::join!(a_touch_changes_nothing(WITHIN_EVENTS), a_touch_changes_nothing(WITHIN_POLL));
}

/// The old file is in force until the new one is whole, wherever that breaks off, and then the new one is in time.
async fn is_cut_short_at((watch, within): (Watching, Duration), ends: Vec<usize>) {
    let (old, new) = (text(watch, 0), text(watch, 1));
    let mut kept = Kept::new(|root| plain(root, &old)).await;
    for &end in &ends {
        let cut = &new[..end];
        fs::write(kept.path("projects.json"), cut).unwrap();
        // Every other one, and those that are left out here are not in the other way of watching.
        if end % 2 == usize::from(watch == Watching::Poll) {
            assert_eq!(kept.rejected().await, problems(cut));
        } else {
            // It looks like one that is being written, and then it is finished.
            sleep(Duration::from_millis(350)).await;
        }
        assert_eq!(number(&kept.config.borrow()), 0, "{end}");
        for (text, wanted) in [(&new, 1), (&old, 0)] {
            fs::write(kept.path("projects.json"), text).unwrap();
            let took = kept.in_force(wanted).await;
            assert!(took < within, "cut at {end}, then {wanted}, {}: {took:?}", watch.word());
        }
    }
    assert_eq!(kept.keeper.standing().rejected, None);
    // Each whole one, and nothing between.
    kept.versions(2 * ends.len() + 1).await;
}

/// What is wrong with a text, as it is told.
fn problems(text: &str) -> Vec<String> {
    let checked = crate::config::check(text, &crate::config::unseen);
    assert!(checked.configuration.is_none(), "{text}");
    checked.problems.iter().map(ToString::to_string).collect()
}

/// Cut short at every byte, or at some of them in the short form; side by side.
async fn cut_short(within: (Watching, Duration)) {
    const SIDES: usize = 4;
    let all: Vec<usize> = (0..text(within.0, 1).len()).step_by(if long::asked().is_some() { 1 } else { 31 }).collect();
    let parts = (0..SIDES).map(|first| all.iter().copied().skip(first).step_by(SIDES).collect());
    for part in parts.map(|ends| tokio::spawn(is_cut_short_at(within, ends))).collect::<Vec<_>>() {
        part.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_cut_short_is_never_in_force_by_events() {
    cut_short(WITHIN_EVENTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_cut_short_is_never_in_force_by_looking() {
    cut_short(WITHIN_POLL).await;
}
