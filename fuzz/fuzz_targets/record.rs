//! A store file that was read is written so that the same records are read back.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pki::record::RecordFile;

fuzz_target!(|file: &[u8]| {
    let Ok(records) = RecordFile::parse(file) else { return };
    let written = records.to_json();
    assert_eq!(RecordFile::parse(written.as_bytes()), Ok(records));
});
