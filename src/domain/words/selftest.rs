//! What `config selftest` found.

use super::{flat, trimmed};
use crate::domain::reload::Watching;
use crate::domain::selftest::SelfTest;
use crate::domain::text::{Text, duration};
use crate::domain::untrusted::UntrustedText;

/// What came of it, a line for each thing that was tried.
pub fn selftest(test: &SelfTest) -> Text {
    let mut text = Text::new().bold("Changes of the configuration, tried").plain(format!(" in {}\n", UntrustedText::from(&test.directory)));
    text = match test.watching {
        Watching::Off => text.plain(format!("⚠️ Nothing is watched: {}. Each was read when asked for.\n", flat(&test.because))),
        way => text.plain(format!("By {}: {}\n", if way == Watching::Poll { "looking" } else { "events" }, flat(&test.because))),
    };
    if !test.on_the_spot {
        text = text.plain(
            "⚠️ The configuration's own directory cannot be written from here. How changes made elsewhere arrive there is not proven.\n",
        );
    }
    text = text.line();
    for trial in &test.trials {
        text = match &trial.failed {
            None => text.plain(format!("✅ {}, {}.{} s\n", flat(&trial.what), trial.took / 1_000, trial.took % 1_000 / 100)),
            Some(why) => text.plain(format!("❌ {}: {}\n", flat(&trial.what), flat(why))),
        };
    }
    let limit = duration(test.limit);
    trimmed(match test.passed() {
        true => text.plain(format!("\nAll as it should be: each change within {limit}.")),
        false if test.watching == Watching::Off => text.plain("\nNo save is noticed here; a reload has to be asked for."),
        false => {
            text.plain(format!("\nNot as it should be: each has to be noticed within {limit}. docs/RELOADING.md says what may be wrong."))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;
    use crate::domain::selftest::Trial;
    use expect_test::expect;

    #[test]
    fn what_was_tried_and_how_it_went() {
        let trial = |what: &str, failed: Option<&str>| Trial { what: what.into(), took: 320, failed: failed.map(Into::into) };
        let good = SelfTest {
            directory: "/etc/dockmaster".into(),
            on_the_spot: true,
            watching: Watching::Events,
            because: "the file system reports changes".into(),
            limit: 2_000,
            trials: vec![trial("saved in place", None)],
        };
        check(
            &selftest(&good),
            expect![[r#"
                *Changes of the configuration, tried* in `/etc/dockmaster`
                By events: the file system reports changes

                ✅ saved in place, 0.3 s

                All as it should be: each change within 2 s."#]],
        );
        let trials = vec![trial("saved in place", Some("it was not noticed"))];
        let bad = SelfTest { on_the_spot: false, watching: Watching::Off, because: "DOCKMASTER_HOT_RELOAD is 0".into(), trials, ..good };
        check(
            &selftest(&bad),
            expect![[r#"
                *Changes of the configuration, tried* in `/etc/dockmaster`
                ⚠️ Nothing is watched: DOCKMASTER_HOT_RELOAD is 0. Each was read when asked for.
                ⚠️ The configuration's own directory cannot be written from here. How changes made elsewhere arrive there is not proven.

                ❌ saved in place: it was not noticed

                No save is noticed here; a reload has to be asked for."#]],
        );
    }
}
