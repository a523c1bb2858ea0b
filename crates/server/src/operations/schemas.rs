//! Operations on the schema: check, plan, apply, undo, versions.

use std::sync::Arc;

use base::{Error, Principal};
use schema::Schema;
use schema::load::Sources;
use schema::plan::{Plan, PlannedStep, Step};
use schema::usage::Weights;

use super::Report;
use crate::apply::{self, Pace};
use crate::project::Project;
use crate::wire::{
    self, ApplyAnswer, ApplyRequest, ApplyState, ChangeConsumer, ChangeUsage, CheckAnswer,
    ErrorBody, FieldInfo, ModuleInfo, PlanAnswer, PlanChange, PlanRequest, PlanStep, SchemaAnswer,
    SchemaText, SchemaVersion, TypeInfo, UndoRequest, UsageAnswer, UsageRequest,
};
use crate::{maintenance, usage, versions};

/// Compiles a text, or says everything that is wrong with it.
pub(super) fn compile(text: &SchemaText) -> Result<Arc<Schema>, ErrorBody> {
    let sources = Sources::from_texts(text.files.clone());
    match schema::compile(&sources) {
        Ok(schema) => Ok(Arc::new(schema)),
        Err(diagnostics) => Err(ErrorBody::from_diagnostics(&diagnostics, &sources)),
    }
}

/// Checks a text. Needs no project.
pub fn check(text: &SchemaText) -> Result<CheckAnswer, ErrorBody> {
    let sources = Sources::from_texts(text.files.clone());
    let inspection = schema::inspect(&sources);
    let Some(schema) = inspection.schema else {
        return Err(ErrorBody::from_diagnostics(&inspection.diagnostics, &sources));
    };
    Ok(CheckAnswer {
        fingerprint: schema.fingerprint.to_string(),
        modules: schema.modules.len(),
        services: schema.services.len(),
        types: schema.types.len() + schema.enums.len(),
        tables: schema.tables().count(),
        fields: schema.types.values().map(|object| object.fields.len()).sum(),
        warnings: wire::findings(&inspection.diagnostics, &sources),
    })
}

pub(super) async fn plan(project: &Project, request: PlanRequest) -> Result<PlanAnswer, ErrorBody> {
    let wanted = compile(&request.schema)?;
    let deployed = Arc::clone(&project.live().deployed.schema);
    let plan = apply::plan_steps(&deployed, &wanted)?;
    Ok(plan_answer(&plan, &weights(project, &deployed, &wanted).await?))
}

/// Whom the changes from one schema to the other hurt, by what was asked of all nodes.
async fn weights(project: &Project, old: &Schema, new: &Schema) -> Result<Weights, Error> {
    maintenance::write_usage(project).await;
    let asked = usage::read(&project.database, project.clock.now(), usage::WEIGHED).await?;
    Ok(schema::usage::weigh(old, new, &asked))
}

/// What was asked, and by whom.
pub(super) async fn usage(
    project: &Project,
    request: UsageRequest,
) -> Result<UsageAnswer, ErrorBody> {
    let days = request.days.unwrap_or(usage::WEIGHED);
    if !(1..=usage::DAYS).contains(&days) {
        let text = format!("`days` is {days}, and usage is kept for 1 to {} days", usage::DAYS);
        return Err(Error::invalid(text).into());
    }
    maintenance::write_usage(project).await;
    let asked = usage::read(&project.database, project.clock.now(), days).await?;
    Ok(usage::shown::shown(&project.live().deployed.schema, &asked, &request))
}

/// Plans what the files of the project's own schema folder would change.
pub(super) async fn pending_plan(project: &Project) -> Result<PlanAnswer, ErrorBody> {
    let sources = schema::load::read_folder(&project.schema_folder())?;
    plan(project, PlanRequest { schema: SchemaText::from(&sources) }).await
}

pub(super) async fn apply(
    project: &Project,
    principal: &Principal,
    request: ApplyRequest,
    report: Report<'_>,
) -> Result<ApplyAnswer, ErrorBody> {
    let (wanted, expected) = if request.resume {
        let sources = apply::interrupted(project).await?.ok_or_else(|| {
            Error::not_found("no apply was interrupted")
                .hint("run `headwater apply` without `--resume`")
        })?;
        (compile(&SchemaText::from(&sources))?, None)
    } else {
        (compile(&request.schema)?, request.expected_base.as_deref())
    };
    let allowed = &request.allow_destructive;
    let pace = Pace { throttle: request.throttle, keep_old: request.keep_old };
    let applied = apply::apply(project, principal, wanted, expected, allowed, pace, report).await?;
    Ok(apply_answer(project, &applied))
}

/// Gives an apply up that was paused, interrupted or refused before its switch.
pub(super) async fn abandon(project: &Project) -> Result<ApplyState, ErrorBody> {
    let text = apply::abandon(project).await?;
    Ok(ApplyState { text, version: project.live().deployed.version })
}

/// Asks the running apply to pause before its next unit.
pub(super) async fn pause(project: &Project) -> Result<ApplyState, ErrorBody> {
    let text = apply::pause(project).await?;
    Ok(ApplyState { text, version: project.live().deployed.version })
}

/// Ends the service of the version before, and gives up what only it needs.
pub(super) async fn contract(
    project: &Project,
    report: Report<'_>,
) -> Result<ApplyState, ErrorBody> {
    let text = apply::contract(project, report).await?;
    Ok(ApplyState { text, version: project.live().deployed.version })
}

/// Plans the way back; of the request only its shape matters.
pub(super) async fn undo_plan(project: &Project, _: UndoRequest) -> Result<PlanAnswer, ErrorBody> {
    let deployed = versions::current(&project.database).await?;
    let earlier = versions::before(&project.database, deployed.version).await?;
    let plan = apply::plan_undo(&deployed.schema, &earlier.schema)?;
    Ok(plan_answer(&plan, &weights(project, &deployed.schema, &earlier.schema).await?))
}

pub(super) async fn undo(
    project: &Project,
    principal: &Principal,
    request: UndoRequest,
    report: Report<'_>,
) -> Result<ApplyAnswer, ErrorBody> {
    let expected = request.expected_base.as_deref();
    let allowed = &request.allow_destructive;
    let applied = apply::undo(project, principal, expected, allowed, report).await?;
    Ok(apply_answer(project, &applied))
}

fn apply_answer(project: &Project, applied: &apply::Applied) -> ApplyAnswer {
    ApplyAnswer {
        version: applied.version,
        fingerprint: project.live().deployed.schema.fingerprint.to_string(),
        steps: applied.steps,
        resumed: applied.resumed,
        plan: plan_answer(&applied.plan, &Weights::default()),
    }
}

fn plan_answer(plan: &Plan, weights: &Weights) -> PlanAnswer {
    PlanAnswer {
        base: plan.base.to_string(),
        target: plan.target.to_string(),
        is_empty: plan.is_empty(),
        changes: plan
            .changes
            .iter()
            .enumerate()
            .map(|(position, change)| PlanChange {
                path: change.path.clone(),
                message: change.message.clone(),
                storage: change.storage.name().to_owned(),
                wire: change.wire.name().to_owned(),
                usage: change_usage(weights, position),
            })
            .collect(),
        steps: plan
            .steps
            .iter()
            .map(|step| PlanStep {
                phase: step.step.phase().name().to_owned(),
                text: step.text.clone(),
                storage: step.storage.name().to_owned(),
                destroys: step.destroys.clone(),
            })
            .collect(),
        losses: plan.steps.iter().filter_map(loss_name).collect(),
        rendered: plan.render_weighed(false, weights),
    }
}

/// Whom a change hurts; nothing when it hurts nobody, or nothing was counted.
fn change_usage(weights: &Weights, position: usize) -> Option<ChangeUsage> {
    let affected = weights.of.get(position)?.as_ref().filter(|_| weights.days > 0)?;
    let consumers = affected.consumers.iter().map(|consumer| ChangeConsumer {
        client: consumer.client.clone(),
        version: consumer.version.clone(),
        operations: consumer.operations.clone(),
        requests: consumer.requests,
    });
    let (days, requests) = (weights.days, affected.requests);
    Some(ChangeUsage { days, requests, consumers: consumers.collect() })
}

/// The name by which `--allow-destructive` allows a step's loss: the type or the field.
pub(crate) fn loss_name(planned: &PlannedStep) -> Option<String> {
    if planned.destroys.is_empty() {
        return None;
    }
    Some(match &planned.step {
        Step::DropColumn { type_name, field }
        | Step::AddColumn { type_name, field }
        | Step::WidenColumn { type_name, field }
        | Step::ConvertColumn { type_name, field }
        | Step::RestoreColumn { type_name, field }
        | Step::BuildVectors { type_name, field }
        | Step::DropVectors { type_name, field } => format!("{type_name}.{field}"),
        Step::RenameColumn { type_name, from, .. } => format!("{type_name}.{from}"),
        Step::RenameTable { from, .. } => from.to_string(),
        Step::CreateTable { type_name }
        | Step::DropTable { type_name }
        | Step::RestoreTable { type_name }
        | Step::Repartition { type_name }
        | Step::Resort { type_name }
        | Step::ChangeKey { type_name }
        | Step::ChangeFormat { type_name }
        | Step::BuildSearch { type_name }
        | Step::SetRetention { type_name } => type_name.to_string(),
        Step::ChangeSource { source } => source.to_string(),
    })
}

pub(super) async fn versions(project: &Project) -> Result<Vec<SchemaVersion>, ErrorBody> {
    Ok(versions::list(&project.database).await?)
}

/// The deployed schema as the UI draws it.
pub(super) fn deployed(project: &Project) -> SchemaAnswer {
    let live = project.live();
    let schema = &live.deployed.schema;
    SchemaAnswer {
        version: live.deployed.version,
        fingerprint: schema.fingerprint.to_string(),
        modules: schema
            .modules
            .iter()
            .enumerate()
            .map(|(index, module)| module_info(schema, index, module))
            .collect(),
        types: schema.types.values().map(|object| type_info(schema, object)).collect(),
    }
}

fn module_info(schema: &Schema, index: usize, module: &schema::Module) -> ModuleInfo {
    ModuleInfo {
        name: module.name.to_string(),
        owner: module.owner.to_string(),
        file: module.file.to_string(),
        text: module.text.to_string(),
        types: schema
            .types
            .values()
            .filter(|object| object.module == index)
            .map(|object| object.name.to_string())
            .collect(),
    }
}

fn type_info(schema: &Schema, object: &schema::ObjectType) -> TypeInfo {
    let table = object.table();
    TypeInfo {
        name: object.name.to_string(),
        description: object.description.as_ref().map(ToString::to_string),
        module: schema.modules[object.module].name.to_string(),
        owner: object.owner.to_string(),
        table: table.map(|table| table.name.to_string()),
        format: table.map(|table| format!("{:?}", table.format).to_uppercase()),
        key: table.map_or_else(Vec::new, |table| {
            table.key.iter().map(|id| object.field(*id).name.to_string()).collect()
        }),
        fields: object.fields.values().map(|field| field_info(schema, object, field)).collect(),
    }
}

fn field_info(schema: &Schema, object: &schema::ObjectType, field: &schema::FieldDef) -> FieldInfo {
    use schema::FieldKind;
    let (kind, target) = match &field.kind {
        FieldKind::Column(_) => ("column", None),
        FieldKind::Media(_) => ("media", None),
        FieldKind::Derived(_) => ("derived", None),
        FieldKind::Reference(reference) => {
            ("reference", Some(schema.object(reference.target).name.to_string()))
        }
        FieldKind::Nearest(_) => ("nearest", Some(object.name.to_string())),
    };
    let type_text = schema::api::output_type(schema, object, field);
    FieldInfo {
        name: field.name.to_string(),
        description: field.description.as_ref().map(ToString::to_string),
        kind: kind.to_owned(),
        type_text: format!("{type_text}{}", if field.nullable { "" } else { "!" }),
        target,
        search: field.search,
        vector: field.vector.is_some(),
        deprecated: field.deprecated.as_ref().map(ToString::to_string),
    }
}
