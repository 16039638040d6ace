//! Owns what is said of panics: each is counted and logged with the place where it happened. Its text only
//! where the program itself wrote it: text that was put together may quote a client.

use std::panic::PanicHookInfo;
use std::sync::{LazyLock, Once};

use meter::Counter;

/// Panics of the whole process, on whatever thread.
pub(crate) static PANICS: LazyLock<Counter> = LazyLock::new(Counter::default);

/// From now on panics are counted and logged, instead of printed.
pub fn report() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            PANICS.add_one();
            tracing::error!(error = describe(panic), "a fault of this program");
        }));
    });
}

fn describe(panic: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let what = panic.payload().downcast_ref::<&'static str>().copied();
    let what = what.unwrap_or("details are left out, since they may quote a client");
    match panic.location() {
        Some(place) => format!("panicked at {place} on thread {thread}: {what}"),
        None => format!("panicked on thread {thread}: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_described_and_quotes_nobody() {
        let (said, heard) = std::sync::mpsc::channel();
        // Other tests' panics are printed as ever.
        let hook = std::sync::Arc::new(std::panic::take_hook());
        let printed = std::sync::Arc::clone(&hook);
        std::panic::set_hook(Box::new(move |panic| {
            drop(said.send(describe(panic)));
            printed(panic);
        }));
        let body = "meet me at the tomb";
        assert!(std::panic::catch_unwind(|| panic!("no place for {body}")).is_err());
        assert!(std::panic::catch_unwind(|| panic!("out of luck")).is_err());
        std::panic::set_hook(Box::new(move |panic| hook(panic)));
        let said: Vec<String> = heard.try_iter().collect();
        assert!(said.iter().all(|text| !text.contains(body)), "{said:?}");
        let places = said.iter().filter(|text| text.contains("telemetry/panics.rs"));
        assert_eq!(places.count(), 2, "{said:?}");
        assert!(said.iter().any(|text| text.ends_with("out of luck")), "{said:?}");
    }
}
