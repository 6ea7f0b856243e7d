//! Whatever stands in a slurm.conf: an edit changes the keys that it is about and no other, and what is put back is put
//! back byte by byte.
#![no_main]
use libfuzzer_sys::fuzz_target;

// Programs' modules: there is no library to take them from.
#[path = "../../bins/slurm-pki/src/advice.rs"]
mod advice;
#[path = "../../bins/slurm-pki/src/slurm_lines.rs"]
mod slurm_lines;

#[path = "."]
mod conf {
    #[path = "../../bins/slurm-pki/src/conf/block.rs"]
    mod block;
    #[path = "../../bins/slurm-pki/src/conf/document.rs"]
    mod document;
    #[path = "../../bins/slurm-pki/src/conf/shell.rs"]
    mod shell;
    #[path = "../../bins/slurm-pki/src/conf/subject.rs"]
    mod subject;
    #[path = "../../bins/slurm-pki/src/conf/wish.rs"]
    mod wish;

    use block::Undone;
    use document::{Document, Form};
    use subject::{Remains, Subject};
    use wish::Wish;

    const LINES: [&str; 2] = ["TLSType=tls/s2n", "TLSParameters=ca_cert_file=/a,ctld_cert_file=/b"];

    fn grant(document: &mut Document, wish: &Wish) -> anyhow::Result<()> {
        match document.words_of(wish.key()).pop() {
            Some(word) if wish.value(&word.value) == word.value => Ok(()),
            Some(word) => block::change(document, &word, &wish.value(&word.value)),
            None => block::add(document, wish.key(), &wish.value("")),
        }
    }

    /// What is not about TLS.
    fn others(document: &Document) -> Vec<(String, String)> {
        let is_other = |key: &str| Subject::Tls.without(key, "TLS") == Remains::All;
        document.words().into_iter().map(|word| (word.key, word.value)).filter(|(key, _)| is_other(key)).collect()
    }

    pub(crate) fn enable_and_disable(text: &[u8]) {
        let before = Document::new(Form::Slurm, text).unwrap();
        let undone = block::undo(&mut before.clone(), Subject::Tls);
        if !undone.is_ok_and(|undone| undone == Undone::Nothing) {
            return;
        }
        let mut document = before.clone();
        for wish in LINES.into_iter().filter_map(Wish::of_line).chain([Wish::audit()]) {
            if grant(&mut document, &wish).is_err() {
                return;
            }
            let value = document.words_of(wish.key()).pop().unwrap().value;
            assert_eq!(wish.value(&value), value);
        }
        if document == before {
            return;
        }
        assert_eq!(others(&document), others(&before));
        assert_eq!(block::undo(&mut document, Subject::Tls).unwrap(), Undone::All(Vec::new()));
        assert_eq!(document.bytes(), text);
    }
}

fuzz_target!(|text: &[u8]| conf::enable_and_disable(text));
