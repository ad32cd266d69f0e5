//! What Compose prints: which of its lines say why something failed.

/// The codes of a program that a signal from outside ended, where it ended itself: SIGINT, SIGKILL, SIGTERM.
const ENDED: [i32; 3] = [130, 137, 143];

/// Whether a program was ended from outside, by its code.
pub fn was_ended(code: Option<i32>) -> bool {
    code.is_none_or(|code| ENDED.contains(&code))
}

/// The variables that Compose says are not set, from a line of its standard error.
pub fn unset_variable(line: &str) -> Option<String> {
    let (before, _) = line.split_once("variable is not set")?;
    let name = before.rsplit(['"', '\\', '\'']).find(|part| !part.trim().is_empty())?;
    Some(name.trim().to_owned())
}

/// The sentence in a line of Compose's standard error: without time and level.
fn message(line: &str) -> String {
    let line = line.split_once("msg=").map_or(line, |(_, message)| message.trim().trim_matches('"'));
    line.replace("\\\"", "\"").trim().to_owned()
}

/// The lines that may say why something failed, of all that was printed: no separators, no progress, no warnings.
pub fn lines(printed: &[String]) -> Vec<String> {
    printed.iter().filter(|line| !is_noise(line)).map(|line| message(line)).filter(|line| !line.is_empty()).collect()
}

/// The line that says why, as the end of a sentence; none where none does. Where several may, the last one that speaks of an
/// error counts, since programs sum up at their end.
pub fn reason(printed: &[String]) -> Option<String> {
    let told = lines(printed);
    // What a build printed, and the piece of a Dockerfile around it, stand indented or behind their time.
    let says = |line: &&String| !line.starts_with(|c: char| c == '>' || c.is_ascii_digit()) && !line.ends_with(':');
    let speaks = |line: &&String| {
        let line = line.to_lowercase();
        ["error", "failed", "cannot", "invalid", "denied", "not found", "no such"].iter().any(|word| line.contains(word))
    };
    let whole = told.iter().rev().filter(says);
    // A step of a build says it on another stream, and may come last.
    let sums_up = whole.clone().filter(|line| !line.starts_with('#')).find(speaks);
    let found = sums_up.or_else(|| whole.clone().find(speaks)).or_else(|| whole.clone().next()).or_else(|| told.last())?;
    Some(found.trim_end_matches('.').to_owned())
}

/// Whether a line is a separator, progress, or a warning.
fn is_noise(line: &str) -> bool {
    let trimmed = line.trim();
    let separates = trimmed.chars().all(|c| !c.is_alphanumeric());
    let warns = trimmed.starts_with("time=") && trimmed.contains("level=warning") || trimmed.starts_with("WARN[");
    // ` Container shop-web-1  Started`
    let about = [" Container ", " Network ", " Volume ", " Image "].iter().any(|what| line.starts_with(what));
    let proceeds = about && !trimmed.contains("Error");
    // `#7 DONE 0.3s`, `#7 sha256:… 1.2MB / 3MB`
    let step = trimmed.strip_prefix('#').and_then(|rest| rest.split_once(' ')).filter(|(n, _)| n.bytes().all(|b| b.is_ascii_digit()));
    let builds = step.is_some_and(|(_, rest)| {
        let words =
            ["DONE", "CACHED", "sha256:", "transferring", "resolve ", "extracting", "exporting", "naming", "writing", "preparing", "..."];
        let prepares =
            rest.starts_with('[') && (rest.contains("internal]") || rest.contains("] FROM ")) || rest.starts_with("building with");
        rest.trim().is_empty() || prepares || words.iter().any(|word| rest.starts_with(word))
    });
    separates || warns || proceeds || builds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(printed: &[&str]) -> Option<String> {
        reason(&printed.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn unset_variables_are_read_from_warnings() {
        let line = r#"time="2026-01-01T00:00:00Z" level=warning msg="The \"FOO_1\" variable is not set. Defaulting to a blank string.""#;
        assert_eq!(unset_variable(line).as_deref(), Some("FOO_1"));
        assert_eq!(unset_variable("The \"A\" variable is not set.").as_deref(), Some("A"));
        assert_eq!(unset_variable("Container web Started"), None);
        assert_eq!(message(line), "The \"FOO_1\" variable is not set. Defaulting to a blank string.");
    }

    #[test]
    fn the_line_that_says_why_is_found() {
        let failed = "failed to solve: process \"/bin/sh -c false\" did not complete successfully: exit code: 1";
        let build = [
            "#6 [web 2/2] RUN false",
            "#6 0.214 no luck today",
            "#6 ERROR: process \"/bin/sh -c false\" did not complete",
            failed,
            "------",
            " > [web 2/2] RUN false:",
            "0.214 no luck today",
            "------",
        ];
        assert_eq!(why(&build).as_deref(), Some(failed));
        assert_eq!(why(&[build[0], build[1], failed, build[2]]).as_deref(), Some(failed), "whichever stream was faster");
        assert_eq!(why(&build[..3]).as_deref(), Some(build[2]), "a step alone");
        let shown = lines(&build.map(str::to_owned));
        assert!(!shown.iter().any(|line| line.contains("---")) && shown.len() == 6, "{shown:?}");
        assert_eq!(why(&["time=\"x\" level=error msg=\"no such service: x\"", ""]).as_deref(), Some("no such service: x"));
        assert_eq!(
            why(&[" Container shop-web-1  Starting", "Error response from daemon: no room."]).as_deref(),
            Some("Error response from daemon: no room")
        );
        assert_eq!(
            why(&["decoding failed due to the following error(s):", "", "error decoding 'x': no"]).as_deref(),
            Some("error decoding 'x': no")
        );
        assert_eq!(why(&["------", "", "#5 DONE 0.0s"]), None);
        assert_eq!(why(&["something odd"]).as_deref(), Some("something odd"));
    }

    #[test]
    fn an_end_from_outside_is_known() {
        assert!(was_ended(None) && was_ended(Some(143)) && !was_ended(Some(1)) && !was_ended(Some(17)));
    }
}
