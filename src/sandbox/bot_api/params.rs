//! Parameters of a call, however they were sent: query, form, JSON or multipart.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::ApiError;

/// Largest request, in bytes: the largest document and room for what surrounds it.
pub const MAX_BODY: usize = 52 * 1024 * 1024;

/// A file that came along.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) name: String,
    pub(super) bytes: Bytes,
}

/// What a call was given.
#[derive(Debug, Default)]
pub(super) struct Params {
    values: Map<String, Value>,
    uploads: BTreeMap<String, Upload>,
}

impl Params {
    /// Reads the query and the body of a request.
    ///
    /// # Errors
    /// 413 for more than [`MAX_BODY`], 400 for a body that is not what its type says.
    pub(super) async fn read(request: Request) -> Result<Self, ApiError> {
        let mut params = Self::default();
        params.add_pairs(request.uri().query().unwrap_or_default());
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "multipart/form-data" => params.add_multipart(request).await?,
            "application/json" => {
                let body = read_body(request).await?;
                match serde_json::from_slice(&body) {
                    Ok(Value::Object(values)) => params.values.extend(values),
                    _ if body.is_empty() => {}
                    _ => return Err(ApiError::bug("can't parse JSON object")),
                }
            }
            "application/x-www-form-urlencoded" => {
                let body = read_body(request).await?;
                params.add_pairs(&String::from_utf8_lossy(&body));
            }
            _ => {
                if !read_body(request).await?.is_empty() {
                    return Err(ApiError::bug("unsupported content type of the request"));
                }
            }
        }
        Ok(params)
    }

    fn add_pairs(&mut self, encoded: &str) {
        for pair in encoded.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.values.insert(percent_decoded(key), Value::String(percent_decoded(value)));
        }
    }

    async fn add_multipart(&mut self, request: Request) -> Result<(), ApiError> {
        let broken = |_| ApiError::bug("can't parse the multipart body");
        let mut parts = Multipart::from_request(request, &()).await.map_err(broken)?;
        loop {
            let part = parts.next_field().await.map_err(|error| body_error(error.status().as_u16()))?;
            let Some(part) = part else { return Ok(()) };
            let key = part.name().unwrap_or_default().to_owned();
            let name = part.file_name().map(str::to_owned);
            let bytes = part.bytes().await.map_err(|error| body_error(error.status().as_u16()))?;
            if let Some(name) = name {
                self.uploads.insert(key, Upload { name, bytes });
            } else {
                let text = String::from_utf8(bytes.to_vec());
                let text = text.map_err(|_| ApiError::bug("strings must be encoded in UTF-8"))?;
                self.values.insert(key, Value::String(text));
            }
        }
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    /// A text; numbers stand for themselves.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// A violation where there is something else.
    pub(super) fn integer(&self, key: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let number = match value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_i64(),
        };
        number.map(Some).ok_or_else(|| ApiError::bug(&format!("parameter \"{key}\" must be a whole number")))
    }

    /// A message id.
    ///
    /// # Errors
    /// A violation where it is missing or no id.
    pub(super) fn message_id(&self) -> Result<i32, ApiError> {
        let id = self.integer("message_id")?.and_then(|id| i32::try_from(id).ok());
        id.ok_or_else(|| ApiError::bug("message identifier is not specified"))
    }

    /// The chat's id; none where a user name stands for it.
    ///
    /// # Errors
    /// A violation where it is missing or neither.
    pub(super) fn chat_id(&self) -> Result<Option<i64>, ApiError> {
        match self.text("chat_id").as_deref() {
            None | Some("") => Err(ApiError::bug("chat_id is empty")),
            Some(name) if name.starts_with('@') => Ok(None),
            Some(_) => self.integer("chat_id"),
        }
    }

    /// Whether something was asked for.
    pub(super) fn flag(&self, key: &str) -> bool {
        match self.value(key) {
            Some(Value::Bool(is_set)) => *is_set,
            Some(Value::String(text)) => {
                matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "1")
            }
            _ => false,
        }
    }

    /// A structure, sent as JSON or as text that holds JSON.
    ///
    /// # Errors
    /// A violation where it is neither, or not of this form.
    pub(super) fn structure<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ApiError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let read = match value {
            Value::String(text) if text.is_empty() => return Ok(None),
            Value::String(text) => serde_json::from_str(text),
            other => T::deserialize(other),
        };
        read.map(Some).map_err(|error| ApiError::bug(&format!("can't parse \"{key}\": {error}")))
    }

    /// A file that was uploaded under this name, or that this parameter points at by `attach://`.
    pub(super) fn upload(&self, key: &str) -> Option<&Upload> {
        let attached = self.value(key).and_then(Value::as_str).and_then(|text| text.strip_prefix("attach://"));
        self.uploads.get(attached.unwrap_or(key))
    }
}

fn body_error(status: u16) -> ApiError {
    if status == 413 {
        return ApiError { is_violation: true, ..ApiError::new(413, "Request Entity Too Large") };
    }
    ApiError::bug("can't read the body of the request")
}

async fn read_body(request: Request) -> Result<Bytes, ApiError> {
    axum::body::to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| body_error(413))
}

/// Decodes `%XX` and `+`; what is no valid escape stands for itself.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escape = tail.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let escape = escape.and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escape.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn read(kind: &str, uri: &str, body: impl Into<Body>) -> Result<Params, ApiError> {
        let request = Request::builder().uri(uri).header(CONTENT_TYPE, kind).body(body.into()).unwrap();
        Params::read(request).await
    }

    #[tokio::test]
    async fn every_way_of_sending_means_the_same() {
        let multipart = "--x\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n-5\r\n\
             --x\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\na b&c\r\n\
             --x\r\nContent-Disposition: form-data; name=\"silent\"\r\n\r\ntrue\r\n\
             --x\r\nContent-Disposition: form-data; name=\"list\"\r\n\r\n[1,2]\r\n--x--\r\n";
        for (kind, uri, body) in [
            ("application/json", "/", r#"{"chat_id":-5,"text":"a b&c","silent":true,"list":[1,2],"none":null}"#),
            ("application/json; charset=utf-8", "/?chat_id=-5&silent=True", r#"{"text":"a b&c","list":"[1,2]"}"#),
            ("application/x-www-form-urlencoded", "/", "chat_id=-5&text=a+b%26c&silent=1&list=%5B1%2C2%5D"),
            ("", "/?chat_id=-5&text=a%20b%26c&silent=true&list=[1,2]", ""),
            ("multipart/form-data; boundary=x", "/", multipart),
        ] {
            let params = read(kind, uri, body).await.unwrap();
            assert_eq!(params.chat_id(), Ok(Some(-5)), "{kind}");
            assert_eq!(params.text("text").as_deref(), Some("a b&c"), "{kind}");
            assert!(params.flag("silent") && !params.flag("none"), "{kind}");
            assert_eq!(params.structure::<Vec<u8>>("list"), Ok(Some(vec![1, 2])), "{kind}");
            assert_eq!(params.integer("none"), Ok(None), "{kind}");
        }
    }

    #[tokio::test]
    async fn files_are_found_by_name_and_by_attachment() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"document\"\r\n\r\nattach://f1\r\n\
             --x\r\nContent-Disposition: form-data; name=\"f1\"; filename=\"a b.txt\"\r\n\
             Content-Type: application/octet-stream\r\n\r\nhello\r\n--x--\r\n";
        let params = read("multipart/form-data; boundary=x", "/", body).await.unwrap();
        for key in ["document", "f1"] {
            let upload = params.upload(key).unwrap();
            assert_eq!((upload.name.as_str(), &upload.bytes[..]), ("a b.txt", &b"hello"[..]));
        }
        assert!(params.upload("photo").is_none());
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_a_bug_of_the_bot() {
        for (kind, body) in [
            ("application/json", "[1]"),
            ("application/json", "{"),
            ("text/plain", "x"),
            ("multipart/form-data", "x"),
            ("multipart/form-data; boundary=x", "--x\r\nContent-Dis"),
        ] {
            let error = read(kind, "/", body).await.unwrap_err();
            assert!(error.code == 400 && error.is_violation, "{kind} {body}: {error:?}");
        }
        let params = read("application/json", "/", r#"{"chat_id":"x","message_id":5000000000,"list":"{"}"#).await.unwrap();
        assert!(params.chat_id().is_err());
        assert!(params.message_id().is_err());
        assert!(params.structure::<Vec<u8>>("list").is_err());
        assert_eq!(read("application/json", "/?chat_id=@x", "").await.unwrap().chat_id(), Ok(None));
    }

    #[tokio::test]
    async fn too_large_a_body_is_refused() {
        let error = read("application/json", "/", vec![b' '; MAX_BODY + 1]).await.unwrap_err();
        assert_eq!(error.code, 413);
    }
}
