//! A window is read or refused, without a panic; one that was taken reads back the same and is open at some time.
#![no_main]
use libfuzzer_sys::fuzz_target;
use site::config::Window;

fuzz_target!(|text: &str| {
    let Ok(window) = Window::parse(text) else { return };
    assert_eq!(Window::parse(&window.to_string()).as_ref(), Ok(&window));
    assert!((0..7).any(|day| (0..24 * 60).any(|minute| window.covers(day, minute))));
});
