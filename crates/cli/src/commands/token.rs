//! `headwater token`: makes, lists and revokes access tokens.

use server::wire::{TokenCreateRequest, TokenInfo};

use crate::arguments::Global;
use crate::printer::{Outcome, Printer, table};
use crate::target::Target;

/// What to do with tokens.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Make a token; its secret is shown once.
    Create(Create),
    /// List the tokens, without their secrets.
    List,
    /// Make a token worthless at once.
    Revoke(Revoke),
}

/// A new token.
#[derive(clap::Args, Debug)]
pub(crate) struct Create {
    /// Who will use it.
    #[arg(value_name = "SUBJECT")]
    subject: String,
    /// The team it acts for.
    #[arg(long)]
    team: String,
    /// What it may do: `read`, `write` (includes read), `admin` (includes both).
    #[arg(long, default_value = "read", value_parser = ["read", "write", "admin"])]
    scope: String,
    /// An audience of the schema's policies that it belongs to; may be given several times. `everything`
    /// shows all that policies hold back.
    #[arg(long = "audience", value_name = "NAME")]
    audiences: Vec<String>,
    /// How long it is good for, for instance `30d`.
    #[arg(long, value_name = "DURATION", default_value = "90d")]
    expires_in: String,
}

/// A token's end.
#[derive(clap::Args, Debug)]
pub(crate) struct Revoke {
    /// The token's id, as `list` prints it.
    #[arg(value_name = "ID")]
    id: String,
}

pub(crate) async fn run(global: &Global, command: Command, printer: &Printer) -> Outcome {
    let target = Target::open(global).await?;
    match command {
        Command::Create(options) => {
            let request = TokenCreateRequest {
                subject: options.subject,
                team: options.team,
                scope: options.scope,
                audiences: options.audiences,
                expires_in: Some(options.expires_in),
            };
            let token: TokenInfo = target.call("tokenCreate", &request).await?;
            printer.answer(&token, || token.secret.clone().unwrap_or_default());
            printer.remark("this secret is not shown again");
        }
        Command::List => {
            let tokens: Vec<TokenInfo> = target.call("tokenList", &serde_json::json!({})).await?;
            printer.answer(&tokens, || listing(&tokens));
        }
        Command::Revoke(options) => {
            let request = serde_json::json!({ "id": options.id });
            let token: TokenInfo = target.call("tokenRevoke", &request).await?;
            printer.answer(&token, || format!("revoked the token of `{}`", token.subject));
        }
    }
    Ok(())
}

fn listing(tokens: &[TokenInfo]) -> String {
    if tokens.is_empty() {
        return "no tokens: `headwater token create NAME --team TEAM` makes one".to_owned();
    }
    let rows: Vec<Vec<String>> = tokens
        .iter()
        .map(|token| {
            let state = match (&token.revoked_at, &token.expires_at) {
                (Some(at), _) => format!("revoked {at}"),
                (None, Some(at)) => format!("until {at}"),
                (None, None) => "without end".to_owned(),
            };
            vec![
                token.id.clone(),
                token.subject.clone(),
                token.team.clone(),
                token.scope.clone(),
                token.audiences.join(" "),
                state,
            ]
        })
        .collect();
    table(&["id", "subject", "team", "scope", "audiences", "good"], &rows)
}
