//! How much the engine's volumes hold. Engines answer this in two shapes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::ask::Question;
use super::docker::{Docker, EngineError};
use super::fields::Fields;

/// How long the engine may take to count: it reads all that is in the volumes.
const LIMIT: Duration = Duration::from_secs(300);

impl Docker {
    /// How many bytes each volume of the engine's holds, by name; a volume whose driver does not say is left out.
    ///
    /// # Errors
    /// The engine does not answer, or refuses.
    pub async fn volume_sizes(&self) -> Result<BTreeMap<String, u64>, EngineError> {
        // The volumes alone, each of them.
        let asked = Question::get("/system/df").with("type", "volume").with("verbose", "1").within(LIMIT);
        Ok(read(&self.connection.object(asked).await?))
    }
}

pub(super) fn read(answer: &Value) -> BTreeMap<String, u64> {
    // Until version 1.51 of the engine's API, and from 1.52 on.
    let all = answer.items("Volumes").iter().chain(answer.field("VolumeUsage").items("Items"));
    // Less than nothing where the driver does not say.
    all.filter_map(|volume| Some((volume.text("Name")?.to_owned(), volume.field("UsageData").size("Size")?))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_shapes_of_the_answer_are_read() {
        let items = json!([
            { "Name": "a", "Driver": "local", "UsageData": { "Size": 5, "RefCount": 1 } },
            { "Name": "nfs", "UsageData": { "Size": -1, "RefCount": -1 } },
            { "Name": "new" }
        ]);
        let known = BTreeMap::from([("a".to_owned(), 5)]);
        assert_eq!(read(&json!({ "LayersSize": 0, "Images": null, "Volumes": items })), known);
        assert_eq!(read(&json!({ "VolumeUsage": { "TotalCount": 3, "Items": items } })), known);
        assert_eq!(read(&json!({})), BTreeMap::new());
        assert_eq!(read(&json!({ "Volumes": null, "VolumeUsage": { "Items": null } })), BTreeMap::new());
    }
}
