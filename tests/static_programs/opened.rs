//! The files that each program opens. Slurm runs these programs at every squeue and for every node: a file
//! more is a cost to all of them, so the list is exact.

use support::programs;
use support::site::Site;
use support::strace::{self, Call};

use crate::exchange::Exchange;

/// By program, in order; a path that is opened and not there counts too. `*` stands for a number.
const TABLE: [(&str, &[&str]); 7] = [
    ("get_node_token", &[STAT, MEM, CONFIG, "node/n1_token.txt"]),
    (
        "generate_csr",
        &[
            STAT,
            MEM,
            CONFIG,
            "node/n1_token.txt",
            // A new folder is made in one that is held open; mode and owner it gets through a handle, while it is empty.
            "node",
            "node/keys",
            "node/keys",
            PARENT,
            // Held open while the key is written and gets its name.
            "node/keys",
            "node/keys",
            "node/keys/.n1.*.key.*.*.tmp",
            "node/keys",
        ],
    ),
    ("get_cert_key", &[STAT, MEM, CONFIG, "node/n1_token.txt", "node/keys/n1.*.key"]),
    ("validate_node_token", &[STAT, MEM, CONFIG, RECORDS, MARK]),
    (
        "sign_csr",
        &[
            STAT,
            MEM,
            CONFIG,
            RECORDS,
            MARK,
            // For the policy: a request that is refused never sees the key.
            "ca_cert.pem",
            "state/ca/chain.pem",
            // Then the key, and the certificates as they stand after it: a change of CA in between must be seen whole.
            "state/ca/ca_key.pem",
            "ca_cert.pem",
            "state/ca/chain.pem",
            "state/ca/ca_key.pem",
            // Each folder is held open before a name in it is opened, so that its owner leads nobody elsewhere.
            "state/ledger",
            "state/ledger/issued.HOST.lock",
            "state/ledger",
            "state/ledger/issued.HOST.jsonl",
            // New, like the ledger: made durable.
            "state/ledger",
            // The folder of last certificates, new too.
            "state/ledger",
            "state/ledger",
            "state/ledger/last",
            "state/ledger/last",
            "state/ledger/last",
            "state/ledger/last/.n1.json.*.*.tmp",
            MARK,
            "state/tokens",
            "state/tokens/.n1.*.used.*.*.tmp",
            "state/tokens",
        ],
    ),
    ("keygen", &[STAT, CONFIG]),
    ("certgen", &[STAT, MEM, CONFIG]),
];

/// Where the arguments lie, to wipe them.
const STAT: &str = "/proc/self/stat";
/// Through which they are wiped; not opened where there are none.
const MEM: &str = "/proc/self/mem";
/// The daemon, or a wrapper script in between: whose parent it is.
const PARENT: &str = "/proc/*/stat";
const CONFIG: &str = "slurm-pki.toml";
const RECORDS: &str = "state/tokens/n1.json";
const MARK: &str = "state/tokens/n1.*.used";

/// Where the runtime looks for the end of the stack before main; not ours to leave out.
const RUNTIME: &str = "/proc/self/maps";

pub(crate) fn nothing_else() {
    Exchange::new().run(|site, program, argv| {
        let (calls, output) = strace::trace(&site.slurm(), &programs::program(program), argv);
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        let opened: Vec<_> = calls
            .iter()
            .filter_map(path_opened)
            .filter(|path| path != RUNTIME)
            .map(|path| shown(site, &path))
            .collect();
        let (_, expected) = TABLE.iter().find(|(name, _)| *name == program).unwrap();
        assert_eq!(opened, *expected, "{program}");
        // A look-up could go through a socket instead: nscd's, sssd's, a resolver's.
        let sockets: Vec<_> = calls.iter().filter(|call| call.is_one_of(&["socket", "connect"])).collect();
        assert!(sockets.is_empty(), "{program}: {sockets:?}");
        String::from_utf8(output.stdout).unwrap()
    });
}

/// The first path in an open, whether or not it was there.
fn path_opened(call: &Call) -> Option<String> {
    let opens = call.is_one_of(&["open", "openat", "openat2"]);
    if opens { call.text.split('"').nth(1).map(str::to_owned) } else { None }
}

/// Relative to the site, numbers and this host's name replaced.
fn shown(site: &Site, path: &str) -> String {
    let root = site.path("");
    let Some(relative) = path.strip_prefix(root.to_str().unwrap()) else {
        return path.split('/').map(plain).collect::<Vec<_>>().join("/");
    };
    let mut words: Vec<String> = relative.trim_start_matches('/').split('.').map(plain).collect();
    if words[0].ends_with("/issued") {
        words[1] = "HOST".into();
    }
    words.join(".")
}

/// Process ids, random numbers and record ids.
fn plain(word: &str) -> String {
    let is_number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let is_hex = word.len() >= 8 && word.bytes().all(|b| b.is_ascii_hexdigit());
    if is_number || is_hex { "*".into() } else { word.to_owned() }
}
