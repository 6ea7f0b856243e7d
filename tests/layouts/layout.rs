//! What a site looks like that Slurm's documentation, or a workshop, has set up.

/// One of the layouts, file by file. `%n` is the node's name.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Our config for it, in config/.
    pub(crate) config: &'static str,
    pub(crate) ca_cert: &'static str,
    pub(crate) ca_key: &'static str,
    pub(crate) token_list: &'static str,
    /// A line of the list, with `%t` for the token.
    pub(crate) list_line: &'static str,
    pub(crate) token: &'static str,
    /// What stands behind the token in its file.
    pub(crate) after_token: &'static str,
    pub(crate) node_key: &'static str,
    /// openssl's arguments for a new key.
    pub(crate) new_key: &'static [&'static str],
    /// What its generate_csr script puts before CN.
    pub(crate) subject: &'static str,
}

/// The certmgr page of Slurm's documentation: keys with EC PARAMETERS, bare tokens in the list.
pub(crate) const SCHEDMD: Layout = Layout {
    config: "schedmd.toml",
    ca_cert: "root_cert.pem",
    ca_key: "root_key.pem",
    token_list: "node_token_list.txt",
    list_line: "%t\n",
    token: "%n_token.txt",
    after_token: "",
    node_key: "%n_private_key.pem",
    new_key: &["ecparam", "-name", "prime256v1", "-genkey"],
    subject: "/C=XX/ST=StateName/L=CityName/O=CompanyName/OU=CompanySectionName",
};

/// The LCI lab: keys without EC PARAMETERS, token files that end in a newline, lines with names.
pub(crate) const LAB: Layout = Layout {
    config: "lci-lab.toml",
    ca_cert: "slurm_ca.pem",
    ca_key: "slurm_ca.key",
    token_list: "node_token_list",
    list_line: "%n %t\n",
    token: "token",
    after_token: "\n",
    node_key: "slurmd.key",
    new_key: &["ecparam", "-name", "prime256v1", "-genkey", "-noout"],
    subject: "/C=XX/ST=State/L=City/O=Workshop/OU=Lab",
};
