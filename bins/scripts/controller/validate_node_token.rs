//! `validate_node_script`: whether this token enrols this node. The exit status is the answer.

use std::process::ExitCode;

use contract::{Error, Output};
use pki::explain::Explain;
use pki::name::NodeName;
use pki::token::{Token, TokenError};
use site::clock;
use site::config::{ConfigFile, ControllerConfig};
use site::ledger::Ledger;
use site::remote::Time;
use site::store::Store;

const PROGRAM: &str = "validate_node_token";

fn main() -> ExitCode {
    contract::run(PROGRAM, |arguments| {
        let (name, token) = arguments.name_and_token()?;
        let config = ControllerConfig::read(&ConfigFile::load()?)?;
        let now = clock::now();
        let refuse = |reason: &dyn Explain| {
            Ledger::of(&config).refused(PROGRAM, name, &reason.to_string(), now);
            Error::new(&reason.to_string(), &reason.hint())
        };
        let node = NodeName::parse(name).map_err(|e| refuse(&e))?;
        let token =
            token.ok_or(TokenError::Missing).and_then(Token::from_argument).map_err(|e| refuse(&e))?;
        let standing = Store::within(&config, Time::of_one_call()).standing(&node)?;
        standing.enrols(&token, now, &config.windows).map_err(|e| refuse(&e))?;
        Ok(Output::Nothing)
    })
}
