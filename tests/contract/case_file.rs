//! A case file: its vocabulary as types. A word that is not in it is an error.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use support::programs::SEVEN;

/// One case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What must happen, in one sentence.
    pub(crate) what: String,
    /// The programs that it must happen to.
    pub(crate) programs: Vec<String>,
    /// Words of the refusal: of its error line or its hint.
    #[serde(default)]
    expect: Vec<String>,
    /// Not a refusal at all.
    #[serde(default)]
    accepted: bool,
    /// Files change owners, or a program runs as another user.
    #[serde(default)]
    pub(crate) needs_root: bool,
    /// The arguments, where they are not what Slurm would give.
    pub(crate) argv: Option<Vec<Word>>,
    /// The request, where there is something about it.
    #[serde(default)]
    pub(crate) csr: CsrSpec,
    /// The site before anything is wrong with it.
    #[serde(default)]
    pub(crate) site: SiteSpec,
    /// Config keys by section; the top-level keys are in the section `top`.
    #[serde(default)]
    pub(crate) config: BTreeMap<String, BTreeMap<String, toml::Value>>,
    /// What is changed in the site's files, in this order.
    #[serde(default)]
    pub(crate) file: Vec<FileChange>,
}

/// How a case must end.
pub(crate) enum Expected<'a> {
    Accepted,
    Refused(Vec<&'a str>),
}

impl Case {
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|e| e.to_string())?;
        let case: Self = toml::from_str(&text).map_err(|e| e.to_string())?;
        match case.programs.iter().find(|name| !SEVEN.contains(&name.as_str())) {
            Some(unknown) => Err(format!("no program is called {unknown}")),
            None if case.programs.is_empty() => Err("it names no program".into()),
            None if case.accepted != case.expect.is_empty() => {
                Err("it needs either words to expect or accepted = true".into())
            }
            None => Ok(case),
        }
    }

    pub(crate) fn expected(&self) -> Expected<'_> {
        if self.accepted {
            Expected::Accepted
        } else {
            Expected::Refused(self.expect.iter().map(String::as_str).collect())
        }
    }
}

/// An argument.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Word {
    /// As it stands.
    Text(String),
    /// The token of a node, changed.
    Token(TokenWord),
    /// Bytes that are not UTF-8, in hex.
    Hex(HexWord),
    /// A long one.
    Fill(FillWord),
    /// A new private key.
    Key(KeyWord),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenWord {
    pub(crate) token_of: String,
    /// How many characters to leave out at the front and the back.
    #[serde(default)]
    pub(crate) cut_front: usize,
    #[serde(default)]
    pub(crate) cut_back: usize,
    #[serde(default)]
    pub(crate) before: String,
    #[serde(default)]
    pub(crate) after: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HexWord {
    pub(crate) hex: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FillWord {
    pub(crate) fill: String,
    pub(crate) times: usize,
}

/// Algorithm and options of `openssl genpkey`, and what stands around the key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyWord {
    pub(crate) openssl_key: Vec<String>,
    #[serde(default)]
    pub(crate) before: String,
    #[serde(default)]
    pub(crate) after: String,
}

/// A request. Left alone, it is one that node n1 itself would send.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CsrSpec {
    /// Common names.
    pub(crate) names: Vec<String>,
    /// String type of the common names.
    pub(crate) name_type: StringType,
    /// Other subject attributes, by OID.
    pub(crate) subject: BTreeMap<String, String>,
    /// Extensions asked for: OID and DER in hex.
    pub(crate) extensions: Vec<[String; 2]>,
    /// Attributes of any other kind.
    pub(crate) attributes: Vec<AttributeSpec>,
    /// Whether it is bound at all.
    pub(crate) bound: bool,
    /// How it is bound.
    pub(crate) binding: BindingSpec,
    /// Made by openssl with this kind of key (then it is not bound): algorithm and options of
    /// `openssl genpkey`.
    pub(crate) openssl_key: Option<Vec<String>>,
    /// More options for `openssl req`.
    pub(crate) openssl_options: Vec<String>,
    /// Exchanges one byte of the DER, counted from its end.
    pub(crate) flip: Option<usize>,
    /// Bytes after the DER, in hex.
    pub(crate) trailing: String,
    /// How many bytes of the DER to leave out at its end.
    pub(crate) cut: usize,
    /// The label of the PEM block.
    pub(crate) label: String,
    /// Text around the block.
    pub(crate) before: String,
    pub(crate) after: String,
    /// Blank lines around it: how many.
    pub(crate) blank_lines: usize,
    /// The block, this many times.
    pub(crate) copies: usize,
}

impl Default for CsrSpec {
    fn default() -> Self {
        Self {
            names: vec!["n1".into()],
            name_type: StringType::Utf8,
            subject: BTreeMap::new(),
            extensions: Vec::new(),
            attributes: Vec::new(),
            bound: true,
            binding: BindingSpec::default(),
            openssl_key: None,
            openssl_options: Vec::new(),
            flip: None,
            trailing: String::new(),
            cut: 0,
            label: "CERTIFICATE REQUEST".into(),
            before: String::new(),
            after: String::new(),
            blank_lines: 0,
            copies: 1,
        }
    }
}

/// An attribute: its OID and its values, each DER in hex.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttributeSpec {
    pub(crate) oid: String,
    pub(crate) values: Vec<String>,
}

/// A binding. Left alone, it is right.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BindingSpec {
    /// The node whose secret signs it; `a stranger` is enrolled nowhere.
    pub(crate) by: String,
    /// The name that it speaks for; the request's own when empty.
    pub(crate) name: String,
    /// When it was made, relative to now: `-8d`.
    pub(crate) made: String,
    /// It speaks for the key of another request.
    pub(crate) other_key: bool,
    /// Its string type.
    pub(crate) r#type: StringType,
    /// How often: as several values of one attribute, and as several attributes.
    pub(crate) values: usize,
    pub(crate) attributes: usize,
    /// How many characters to leave out at the end.
    pub(crate) cut: usize,
    /// Another text instead.
    pub(crate) text: Option<String>,
}

impl Default for BindingSpec {
    fn default() -> Self {
        Self {
            by: "n1".into(),
            name: String::new(),
            made: "-0s".into(),
            other_key: false,
            r#type: StringType::Utf8,
            values: 1,
            attributes: 1,
            cut: 0,
            text: None,
        }
    }
}

/// String types of X.680.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StringType {
    Utf8,
    Printable,
    Teletex,
    Ia5,
    Bmp,
}

impl StringType {
    pub(crate) fn tag(self) -> u8 {
        match self {
            Self::Utf8 => 0x0c,
            Self::Printable => 0x13,
            Self::Teletex => 0x14,
            Self::Ia5 => 0x16,
            Self::Bmp => 0x1e,
        }
    }
}

/// A site.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SiteSpec {
    /// Nodes with a record and a token file.
    pub(crate) enrolled: Vec<String>,
    /// What is special about a node's record.
    pub(crate) record: BTreeMap<String, RecordSpec>,
    /// The CA's common name.
    pub(crate) ca_name: String,
    /// When its life begins and ends, relative to now.
    pub(crate) ca_begins: String,
    pub(crate) ca_ends: String,
    /// SchedMD's layout with a token list instead of records.
    pub(crate) token_list: bool,
    /// The config file that `SLURM_PKI_CONF` names.
    pub(crate) config_file: String,
    /// A folder whose disk is full.
    pub(crate) full_disk: Option<String>,
    /// The programs run as SlurmUser, who owns the site.
    pub(crate) as_slurm_user: bool,
}

impl Default for SiteSpec {
    fn default() -> Self {
        Self {
            enrolled: vec!["n1".into(), "n2".into()],
            record: BTreeMap::new(),
            ca_name: support::site::CA_NAME.into(),
            ca_begins: "-1d".into(),
            ca_ends: "3650d".into(),
            token_list: false,
            config_file: "slurm-pki.toml".into(),
            full_disk: None,
            as_slurm_user: false,
        }
    }
}

/// A record; times relative to now.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RecordSpec {
    pub(crate) enrols_until: Option<String>,
    pub(crate) single_use: bool,
    pub(crate) withdrawn: Option<String>,
    /// When the first certificate was issued under it.
    pub(crate) used: Option<String>,
    /// The node has a newer secret, used since then, and its token file still has the old one.
    pub(crate) superseded: Option<String>,
}

/// One change to a file or folder of the site.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FileChange {
    pub(crate) path: String,
    pub(crate) remove: bool,
    pub(crate) folder: bool,
    pub(crate) fifo: bool,
    /// The file is moved away and a symlink to it put in its place.
    pub(crate) linked: bool,
    pub(crate) text: Option<String>,
    /// The text, this many times.
    pub(crate) times: Option<usize>,
    pub(crate) hex: Option<String>,
    pub(crate) append: Option<String>,
    /// How many bytes to leave out at the end.
    pub(crate) cut: Option<usize>,
    /// Another CA's key.
    pub(crate) other_ca_key: bool,
    /// The same text with something else in place of something that must be there.
    pub(crate) replace: Option<[String; 2]>,
    /// Octal.
    pub(crate) mode: Option<String>,
    pub(crate) owner: Option<u32>,
}
