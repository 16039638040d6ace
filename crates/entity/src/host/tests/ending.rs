//! Entities that are to end, while something waits for them.

use super::*;

// A room that is not there ends with its answer; who comes in just then would else be forgotten with it.
#[test]
fn what_is_to_end_goes_on_where_something_waits_for_it_that_needs_it() {
    for (second, next) in [("hi", "romeo 1: next"), ("stay", "romeo 3: next")] {
        Stage::play(false, |stage| async move {
            stage.says("romeo", "close");
            stage.says("romeo", second);
            stage.hears(second).await;
            stage.hears_now().await;
            stage.says("romeo", "next");
            assert!(stage.hears("next").await.contains(&next.to_owned()), "{second}");
        });
    }
}
