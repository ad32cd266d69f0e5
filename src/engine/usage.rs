//! How much the engine's volumes hold. Engines answer this in two shapes, of which bollard reads the newer one alone.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::docker::EngineError;

/// How long the engine may take to count: it reads all that is in the volumes.
const LIMIT: Duration = Duration::from_secs(300);
/// The longest answer that is read, in bytes: some ten thousand volumes.
const ANSWER_MAX: usize = 16 << 20;

/// What is asked: the volumes alone, each of them.
const QUESTION: &str = "/system/df?type=volume&verbose=1";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    /// Until version 1.51 of the engine's interface.
    #[serde(default)]
    volumes: Option<Vec<Counted>>,
    /// From version 1.52 on.
    #[serde(default)]
    volume_usage: Option<Usage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Usage {
    #[serde(default)]
    items: Option<Vec<Counted>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Counted {
    name: String,
    #[serde(default)]
    usage_data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Data {
    /// Less than nothing where the driver does not say.
    size: i64,
}

/// How many bytes each volume of the engine at `host` holds, by name; a volume whose driver does not say is left out.
///
/// # Errors
/// The engine does not answer, or refuses.
pub async fn volumes(host: &str) -> Result<BTreeMap<String, u64>, EngineError> {
    let away = |error: reqwest::Error| EngineError::Away(error.without_url().to_string().into());
    let builder = reqwest::Client::builder().no_proxy().timeout(LIMIT);
    let (builder, address) = match host.strip_prefix("unix://") {
        Some(path) => (builder.unix_socket(path), "http://docker".to_owned()),
        None => (builder, host.replacen("tcp://", "http://", 1)),
    };
    let client = builder.build().map_err(away)?;
    let mut answer = client.get(format!("{}{QUESTION}", address.trim_end_matches('/'))).send().await.map_err(away)?;
    if !answer.status().is_success() {
        return Err(EngineError::Refused(format!("it says {}", answer.status()).into()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(away)? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_MAX {
            return Err(EngineError::Refused("its answer is too long".into()));
        }
    }
    read(&body)
}

fn read(body: &[u8]) -> Result<BTreeMap<String, u64>, EngineError> {
    let answer: Answer =
        serde_json::from_slice(body).map_err(|e| EngineError::Refused(format!("its answer cannot be read ({e})").into()))?;
    let all = answer.volumes.into_iter().flatten().chain(answer.volume_usage.into_iter().filter_map(|usage| usage.items).flatten());
    let size = |counted: Counted| Some((counted.name, u64::try_from(counted.usage_data?.size).ok()?));
    Ok(all.filter_map(size).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_of_the_answer_are_read() {
        let items = r#"[{"Name":"a","Driver":"local","UsageData":{"Size":5,"RefCount":1}},{"Name":"nfs","UsageData":{"Size":-1,"RefCount":-1}},{"Name":"new"}]"#;
        let known = BTreeMap::from([("a".to_owned(), 5)]);
        assert_eq!(read(format!(r#"{{"LayersSize":0,"Images":null,"Volumes":{items}}}"#).as_bytes()), Ok(known.clone()));
        assert_eq!(read(format!(r#"{{"VolumeUsage":{{"TotalCount":3,"Items":{items}}}}}"#).as_bytes()), Ok(known));
        assert_eq!(read(b"{}"), Ok(BTreeMap::new()));
        assert_eq!(read(br#"{"Volumes":null,"VolumeUsage":{"Items":null}}"#), Ok(BTreeMap::new()));
        assert!(read(b"<html>").is_err());
    }
}
