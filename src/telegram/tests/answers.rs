//! Who is answered what.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn help_and_ids() {
    let chat = Chat::start().await;
    assert!(chat.ask("/help").await.contains("/docker_deploy"));
    assert_eq!(chat.ask("/WhoAmI@dockmaster_bot").await, "Your id: 111\nThis chat: 111");
    chat.finish().await;
}
