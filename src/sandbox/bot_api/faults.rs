//! What a test can make go wrong.

use std::time::Duration;

/// Something that goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429 with `retry_after`.
    TooManyRequests {
        /// In seconds.
        retry_after: u32,
    },
    /// 502 with the HTML page of a proxy, as Telegram's front servers give it.
    BadGateway,
    /// 401: the token was revoked.
    Unauthorized,
    /// 409: another program polls with this token. A poll that waits is ended at once.
    Conflict,
    /// The call is carried out, then the connection is cut before the answer.
    DropAfterDelivering,
    /// The connection is cut and nothing was carried out.
    DropBefore,
    /// 400 with this after "Bad Request: ". It is not a violation.
    BadRequest(String),
    /// 403 with this after "Forbidden: ", such as "bot was blocked by the user".
    Forbidden(String),
    /// The call is carried out after this time. A poll is not slowed down while it waits.
    Slow(Duration),
}

/// The calls that a fault hits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    method: Option<String>,
    chat: Option<i64>,
}

impl Target {
    /// Every call.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Every call of a method, in any case.
    #[must_use]
    pub fn method(name: &str) -> Self {
        Self { method: Some(name.to_ascii_lowercase()), chat: None }
    }

    /// Only those for one chat.
    #[must_use]
    pub fn chat(self, id: i64) -> Self {
        Self { chat: Some(id), ..self }
    }

    fn hits(&self, method: &str, chat: Option<i64>) -> bool {
        self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.chat.is_none_or(|wanted| chat == Some(wanted))
    }
}

impl From<&str> for Target {
    fn from(method: &str) -> Self {
        Self::method(method)
    }
}

/// Faults that wait for their call.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(Target, Fault, u32)>);

impl Faults {
    pub(super) fn add(&mut self, target: Target, fault: Fault, times: u32) {
        if times > 0 {
            self.0.push((target, fault, times));
        }
    }

    /// The first fault that hits a call; it is used up by that.
    pub(super) fn take(&mut self, method: &str, chat: Option<i64>) -> Option<Fault> {
        let index = self.0.iter().position(|(target, ..)| target.hits(method, chat))?;
        let (_, fault, times) = self.0.get_mut(index)?;
        let fault = fault.clone();
        *times -= 1;
        if *times == 0 {
            self.0.remove(index);
        }
        Some(fault)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// How many calls are still to be hit.
    pub(super) fn left(&self) -> u32 {
        self.0.iter().fold(0, |sum, (.., times)| sum.saturating_add(*times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_its_calls_and_is_used_up() {
        let mut faults = Faults::default();
        faults.add("sendMessage".into(), Fault::BadGateway, 2);
        faults.add(Target::any().chat(5), Fault::DropBefore, 1);
        assert_eq!(faults.left(), 3);
        assert_eq!(faults.take("GetMe", None), None);
        assert_eq!(faults.take("SendMessage", Some(5)), Some(Fault::BadGateway));
        assert_eq!(faults.take("SendMessage", Some(5)), Some(Fault::BadGateway));
        assert_eq!(faults.take("SendMessage", Some(6)), None);
        assert_eq!(faults.take("SendMessage", Some(5)), Some(Fault::DropBefore));
        assert_eq!((faults.left(), faults.take("SendMessage", Some(5))), (0, None));
    }

    #[test]
    fn no_times_is_no_fault() {
        let mut faults = Faults::default();
        faults.add(Target::any(), Fault::BadGateway, 0);
        assert_eq!(faults.take("getMe", None), None);
    }
}
