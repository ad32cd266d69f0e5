//! The bot's token, and a new one that takes its place while the bot runs: where it comes from a file, that is looked at.
//!
//! A new token is asked first whose it is. Only one of the same bot is taken: as another bot all chats would be others.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use teloxide::payloads::GetMe;
use tokio::sync::watch;
use tokio::time::sleep;

use super::api::{Api, CallError};
use super::front::Front;
use super::reach::Reach;
use crate::domain::notice::Notice;
use crate::domain::untrusted::UntrustedText;
use crate::operations::keeper::Keeper;
use crate::untrusted::{self, ReadError};

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For how long it may not change any more before it counts: it may be half written.
const CALM: Duration = Duration::from_millis(300);
/// The most that is read of the file, in bytes.
const SIZE_MAX: u64 = 4_096;
/// The shortest secret part.
const SECRET_MIN: usize = 10;

/// The token that a bot starts with.
#[derive(Debug, Clone)]
pub struct BotToken {
    /// The token.
    pub secret: SecretString,
    /// The file that it comes from, where it comes from one.
    pub file: Option<PathBuf>,
}

/// There is no token: one sentence that says how to give it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadToken(String);

impl BotToken {
    /// What is given by variables: `TELOXIDE_TOKEN`, or the content of the file that `TELOXIDE_TOKEN_FILE` names.
    ///
    /// # Errors
    /// Neither is given, or what is given cannot be a token.
    pub fn given(variable: impl Fn(&str) -> Option<String>) -> Result<Self, BadToken> {
        const NONE: &str =
            "There is no bot token: get one from @BotFather and give it as TELOXIDE_TOKEN, or as a file named by TELOXIDE_TOKEN_FILE.";
        const IMPLAUSIBLE: &str = "The bot token does not look like one: @BotFather gives something like 123456789:AAE….";
        let (given, file) = match (variable("TELOXIDE_TOKEN"), variable("TELOXIDE_TOKEN_FILE")) {
            (Some(token), _) => (token, None),
            (None, Some(file)) => {
                let unread = |e: ReadError| BadToken(format!("TELOXIDE_TOKEN_FILE names {file}, which cannot be read: {}.", e.reason()));
                (content(Path::new(&file)).map_err(unread)?, Some(file.into()))
            }
            (None, None) => return Err(BadToken(NONE.to_owned())),
        };
        Ok(Self { secret: Self::parse(&given).ok_or_else(|| BadToken(IMPLAUSIBLE.to_owned()))?, file })
    }

    /// One that stays.
    pub fn fixed(secret: impl Into<SecretString>) -> Self {
        Self { secret: secret.into(), file: None }
    }

    /// The same as it is now: another one may have come into its file.
    pub fn now(&self) -> Self {
        let text = self.file.as_deref().and_then(|file| content(file).ok());
        let secret = text.and_then(|text| Self::parse(&text)).unwrap_or_else(|| self.secret.clone());
        Self { secret, file: self.file.clone() }
    }

    /// What a text holds; none where that cannot be a token.
    fn parse(text: &str) -> Option<SecretString> {
        let token = text.trim();
        let (id, secret) = token.split_once(':')?;
        let plausible = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()) && secret.len() >= SECRET_MIN;
        let is_clean = !token.contains(|c: char| c.is_whitespace() || c == '/' || c == '?' || c == '#');
        (plausible && is_clean).then(|| SecretString::from(token))
    }
}

/// What a file with a token holds. Blocks on the disk.
fn content(file: &Path) -> Result<String, ReadError> {
    untrusted::read_text(file, SIZE_MAX)
}

/// What came of a look at the file.
#[derive(Debug)]
enum Came {
    /// It says what is in use.
    Same,
    /// The bot goes on with what it says now.
    Renewed,
    /// It is not used, and why.
    Refused(String),
    /// Nobody could be asked whose it is.
    Unasked(CallError),
}

impl Front {
    /// Uses a new token as soon as the file holds one, until it is aborted. `asked` has it looked at at once.
    pub(super) async fn follow_token(self, api: Api, file: PathBuf, mut asked: watch::Receiver<u64>) {
        let watches = self.desk.keeper().is_some_and(Keeper::is_hot);
        let (mut reach, mut pause) = (Reach::default(), LOOK_EVERY);
        // What was told of, as a hash: one secret less in memory.
        let mut told = None;
        loop {
            tokio::select! {
                () = sleep(pause), if watches => {}
                // Whoever asks is told again.
                changed = asked.changed() => if changed.is_err() { return } else { told = None },
            }
            pause = LOOK_EVERY;
            let Some(read) = settled(&file).await else { continue };
            let hash = blake3::hash(read.as_deref().unwrap_or_else(|why| why).trim().as_bytes());
            if told == Some(hash) {
                continue;
            }
            let came = match &read {
                Ok(text) => consider(&api, self.me.0, text).await,
                Err(why) => Came::Refused(why.clone()),
            };
            if !matches!(came, Came::Unasked(_)) {
                reach.back();
                told = Some(hash);
            }
            match came {
                Came::Same => {}
                Came::Renewed => {
                    tracing::info!("the token was changed, and the new one is in use");
                    self.tell_of_token(None).await;
                }
                Came::Refused(why) => {
                    let why = format!("{}: {why}", UntrustedText::path(&file));
                    tracing::error!(why, "the new token is not used");
                    self.tell_of_token(Some(why)).await;
                }
                Came::Unasked(error) => pause = reach.lost(&error),
            }
        }
    }

    async fn tell_of_token(&self, refused: Option<String>) {
        self.desk.tell_admins(&Notice::Token { refused }).await;
        self.notices.notify_one();
    }
}

/// What the file holds once it has come to rest, or why it cannot be read. None where it is gone: it may come back.
async fn settled(file: &Path) -> Option<Result<String, String>> {
    let read = async || {
        let file = file.to_owned();
        match untrusted::off_runtime(move || content(&file)).await.and_then(|read| read) {
            Err(error) if error.is_missing() => None,
            read => Some(read.map_err(|error| format!("it cannot be read ({})", error.reason()))),
        }
    };
    let mut before = read().await?;
    loop {
        sleep(CALM).await;
        let now = read().await?;
        if now == before {
            return Some(now);
        }
        before = now;
    }
}

/// Asks whose a token is, and goes on with it where it is this bot's.
async fn consider(api: &Api, me: u64, text: &str) -> Came {
    let Some(secret) = BotToken::parse(text) else {
        return Came::Refused("what it holds does not look like a token of @BotFather's".to_owned());
    };
    if secret.expose_secret() == api.token().expose_secret() {
        return Came::Same;
    }
    match api.with(secret.clone()).call(&GetMe::new()).await {
        Ok(bot) if bot["id"].as_u64() == Some(me) => {
            api.renew(secret);
            Came::Renewed
        }
        Ok(bot) => {
            let name = bot["username"].as_str().map(|name| format!(" ({})", UntrustedText::from(format!("@{name}")))).unwrap_or_default();
            Came::Refused(format!("it belongs to another bot{name}"))
        }
        Err(CallError::Refused { code, .. }) => Came::Refused(format!("Telegram does not accept it ({code})")),
        Err(error) => Came::Unasked(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_asked_for_in_one_sentence() {
        let missing = BotToken::given(|_| None).unwrap_err();
        assert!(missing.0.contains("TELOXIDE_TOKEN") && missing.0.contains("@BotFather"), "{missing}");
        for bad in ["", "abc", "123:short", "123:abcdefghijk/../x", "12 3:abcdefghijkl"] {
            let shown = BotToken::given(|name| (name == "TELOXIDE_TOKEN").then(|| bad.to_owned())).unwrap_err().0;
            assert!(bad.len() < 3 || !shown.contains(bad), "a wrong token is not repeated: {shown}");
        }
        let good = BotToken::given(|name| (name == "TELOXIDE_TOKEN").then(|| " 123456:abcdefghijkl\n".to_owned())).unwrap();
        assert_eq!((good.secret.expose_secret(), good.file), ("123456:abcdefghijkl", None));
    }
}
