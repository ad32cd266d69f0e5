//! All files of a plan, where its message has no room to name them.

use super::plan::{PATHS_SHOWN, plan_heading};
use crate::domain::manifest::TreePath;
use crate::domain::plan::Plan;
use crate::domain::text::Text;
use crate::domain::untrusted::UntrustedText;

/// A path as a line of a file: all of it, as it can be seen.
fn line(path: &TreePath) -> String {
    UntrustedText::new(path.written()).line(usize::MAX)
}

/// What files can be to a plan: headings with a line for each file, as far as there are any.
fn groups(plan: &Plan) -> Vec<(&'static str, Vec<String>)> {
    let lines = |paths: &[TreePath]| paths.iter().map(line).collect::<Vec<_>>();
    let mut groups = Vec::new();
    if let Some(files) = &plan.files {
        groups.push(("New", lines(&files.added)));
        groups.push(("Changed", lines(&files.changed)));
        groups.push(("Deleted", lines(&files.deleted)));
        groups.push(("Edited by hand", lines(&files.edited)));
        groups.push(("Only in production", lines(&files.kept)));
    }
    groups.push(("Kept as production has it", plan.preserved.iter().map(|(path, how)| format!("{} ({how})", line(path))).collect()));
    groups.push(("Not copied", plan.not_copied.iter().map(|(path, why)| format!("{} ({why})", line(path))).collect()));
    groups.retain(|(_, lines)| !lines.is_empty());
    groups
}

/// Whether a plan's message does not name every path.
pub fn leaves_paths_out(plan: &Plan) -> bool {
    groups(plan).iter().any(|(_, lines)| lines.len() > PATHS_SHOWN)
}

/// Every path, a line each, below what becomes of it.
pub fn files_list(plan: &Plan) -> String {
    let all: Vec<String> = groups(plan).iter().map(|(heading, lines)| format!("{heading}\n{}\n", lines.join("\n"))).collect();
    all.join("\n")
}

/// What [`files_list`] is, with its numbers.
pub fn files_caption(plan: &Plan) -> Text {
    let counts: Vec<String> = groups(plan).iter().map(|(heading, lines)| format!("{}: {}", heading, lines.len())).collect();
    plan_heading(plan).plain(format!("\n{}", counts.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::{deploy, restart};
    use super::super::testing::check;
    use super::*;
    use expect_test::expect;

    #[test]
    fn every_path_below_what_becomes_of_it() {
        expect![[r#"
            New
            a
            b
            c
            d
            e
            f
            g

            Changed
            nginx.conf
            requirements.txt

            Deleted
            old.py

            Edited by hand
            nginx.conf

            Only in production
            uploads/1.png

            Kept as production has it
            app.conf (changed since release 1)

            Not copied
            data (postgres writes there)
        "#]]
        .assert_eq(&files_list(&deploy()));
        check(
            &files_caption(&deploy()),
            expect![[r#"
            *Deploy shop as release 2*
            New: 7
            Changed: 2
            Deleted: 1
            Edited by hand: 1
            Only in production: 1
            Kept as production has it: 1
            Not copied: 1"#]],
        );
    }

    #[test]
    fn it_is_offered_where_something_is_left_out() {
        assert!(leaves_paths_out(&deploy()));
        assert!(!leaves_paths_out(&restart()), "a restart has no files");
        let mut few = deploy();
        if let Some(files) = &mut few.files {
            files.added.truncate(PATHS_SHOWN);
        }
        assert!(!leaves_paths_out(&few), "what is named needs no list");
        // A name with a line end in it stays on its line.
        if let Some(files) = &mut few.files {
            files.added = vec![TreePath::from("two\nlines")];
        }
        assert!(files_list(&few).starts_with("New\ntwo\\x0alines\n"), "{}", files_list(&few));
    }
}
