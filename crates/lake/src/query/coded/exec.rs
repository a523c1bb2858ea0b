//! Aggregates rows by the codes of one column.
//!
//! In: batches with the column as a dictionary array. Out: the same as DataFusion's partial
//! aggregation gives: a row a group with the states of the functions. A code is looked up once a
//! dictionary; the functions are the engine's own. Groups are given away when they are many, so
//! that memory is bounded, and the final aggregation puts them together. Not here: which plans may
//! use it (`coded`).

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, RecordBatch, StringArray,
};
use datafusion::arrow::datatypes::{Int32Type, SchemaRef};
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::aggregates::{AggregateExec, aggregate_expressions, evaluate_many};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::{StreamExt, stream};

/// Groups that are held; whoever has more gives them away and begins again.
const MOST_GROUPS: usize = 1 << 16;
/// The place of a code that no row has had yet.
const UNSEEN: usize = usize::MAX;

/// A first aggregation by one column that comes as codes.
#[derive(Clone)]
pub(super) struct GroupByCodesExec {
    by: Column,
    functions: Vec<Arc<AggregateFunctionExpr>>,
    /// The arguments of each function.
    arguments: Vec<Vec<Arc<dyn PhysicalExpr>>>,
    /// Which rows each function takes.
    filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    input: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl GroupByCodesExec {
    /// Does what `aggregate` does, over an input that gives the column as codes.
    pub(super) fn try_new(
        aggregate: &AggregateExec,
        by: Column,
        input: Arc<dyn ExecutionPlan>,
    ) -> DfResult<GroupByCodesExec> {
        let functions = aggregate.aggr_expr().to_vec();
        Ok(GroupByCodesExec {
            arguments: aggregate_expressions(&functions, aggregate.mode(), 1)?,
            filters: aggregate.filter_expr().to_vec(),
            schema: aggregate.schema(),
            properties: Arc::clone(aggregate.properties()),
            by,
            functions,
            input,
        })
    }

    fn begin(&self, context: &TaskContext, partition: usize) -> DfResult<Groups> {
        let consumer = MemoryConsumer::new(format!("GroupByCodes[{partition}]"));
        let functions = self.functions.iter().map(|one| one.create_groups_accumulator());
        Ok(Groups {
            plan: self.clone(),
            functions: functions.collect::<DfResult<_>>()?,
            places: HashMap::new(),
            texts: Vec::new(),
            dictionary: Dictionary::default(),
            of_rows: Vec::new(),
            reservation: consumer.register(context.memory_pool()),
        })
    }
}

impl fmt::Debug for GroupByCodesExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupByCodesExec").field("by", &self.by).finish_non_exhaustive()
    }
}

impl DisplayAs for GroupByCodesExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let functions: Vec<&str> = self.functions.iter().map(|one| one.name()).collect();
        write!(f, "GroupByCodesExec: by=[{}], aggr=[{}]", self.by, functions.join(", "))
    }
}

impl ExecutionPlan for GroupByCodesExec {
    fn name(&self) -> &'static str {
        "GroupByCodesExec"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let [input] = children.as_slice() else {
            return Err(DataFusionError::Internal("an aggregation has one input".to_owned()));
        };
        let same = input.output_partitioning().partition_count()
            == self.input.output_partitioning().partition_count();
        if !same {
            let words = "the partitions of an aggregation by codes are fixed";
            return Err(DataFusionError::Internal(words.to_owned()));
        }
        Ok(Arc::new(GroupByCodesExec { input: Arc::clone(input), ..self.as_ref().clone() }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        let groups = self.begin(&context, partition)?;
        let input = self.input.execute(partition, context)?;
        let batches = stream::try_unfold(Some((groups, input)), async |state| {
            let Some((mut groups, mut input)) = state else { return Ok(None) };
            while let Some(batch) = input.next().await {
                groups.take(&batch?)?;
                if groups.texts.len() >= MOST_GROUPS {
                    return Ok(Some((groups.give()?, Some((groups, input)))));
                }
            }
            Ok(Some((groups.give()?, None)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }
}

/// Groups so far.
struct Groups {
    plan: GroupByCodesExec,
    functions: Vec<Box<dyn GroupsAccumulator>>,
    /// The place of each text among the groups; nothing is the group of rows without one.
    places: HashMap<Option<Box<str>>, usize>,
    texts: Vec<Option<Box<str>>>,
    dictionary: Dictionary,
    /// The group of each row of the batch at hand.
    of_rows: Vec<usize>,
    reservation: MemoryReservation,
}

/// The dictionary of the rows at hand, and the group of each of its codes.
#[derive(Default)]
struct Dictionary {
    values: Option<ArrayRef>,
    groups: Vec<usize>,
}

impl Dictionary {
    /// Whether these are the very values that it is about; it holds them, so that no others can come
    /// to lie where they lie.
    fn is_of(&self, values: &ArrayRef) -> bool {
        self.values.as_ref().is_some_and(|held| {
            Arc::ptr_eq(held, values) || held.to_data().ptr_eq(&values.to_data())
        })
    }

    fn turn_to(&mut self, values: &ArrayRef) {
        if !self.is_of(values) {
            self.groups.clear();
            self.groups.resize(values.len(), UNSEEN);
            self.values = Some(Arc::clone(values));
        }
    }
}

impl Groups {
    fn take(&mut self, batch: &RecordBatch) -> DfResult<()> {
        self.assign(batch.column(self.plan.by.index()).as_dictionary::<Int32Type>());
        let arguments = evaluate_many(&self.plan.arguments, batch)?;
        let filters = self.plan.filters.iter().map(|filter| {
            let Some(filter) = filter else { return Ok(None) };
            filter.evaluate(batch)?.into_array(batch.num_rows()).map(Some)
        });
        let filters: Vec<Option<ArrayRef>> = filters.collect::<DfResult<_>>()?;
        for ((function, values), filter) in self.functions.iter_mut().zip(&arguments).zip(&filters)
        {
            let filter = filter.as_ref().map(|filter| filter.as_boolean());
            function.update_batch(values, &self.of_rows, filter, self.texts.len())?;
        }
        let functions: usize = self.functions.iter().map(|function| function.size()).sum();
        let each = size_of::<(Option<Box<str>>, usize)>() * 2;
        self.reservation.try_resize(functions + self.texts.len() * each)
    }

    /// Finds the group of each row.
    fn assign(&mut self, codes: &DictionaryArray<Int32Type>) {
        self.dictionary.turn_to(codes.values());
        let values = codes.values().as_string::<i32>();
        let keys = codes.keys();
        let mut of_rows = std::mem::take(&mut self.of_rows);
        of_rows.clear();
        match keys.nulls() {
            None => of_rows.extend(keys.values().iter().map(|code| self.group_at(*code, values))),
            Some(_) => of_rows.extend(keys.iter().map(|code| match code {
                Some(code) => self.group_at(code, values),
                None => self.group_of(None),
            })),
        }
        self.of_rows = of_rows;
    }

    fn group_at(&mut self, code: i32, values: &StringArray) -> usize {
        // A code is a place in the dictionary, so it is not negative.
        let code = code as usize;
        match self.dictionary.groups[code] {
            UNSEEN => {
                let group = self.group_of(values.is_valid(code).then(|| values.value(code)));
                self.dictionary.groups[code] = group;
                group
            }
            known => known,
        }
    }

    fn group_of(&mut self, text: Option<&str>) -> usize {
        let text: Option<Box<str>> = text.map(Into::into);
        if let Some(place) = self.places.get(&text) {
            return *place;
        }
        let place = self.texts.len();
        self.places.insert(text.clone(), place);
        self.texts.push(text);
        place
    }

    /// The groups with the states of their functions; none are left.
    fn give(&mut self) -> DfResult<RecordBatch> {
        let texts: StringArray = self.texts.iter().map(Option::as_deref).collect();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(texts)];
        for function in &mut self.functions {
            columns.extend(function.state(EmitTo::All)?);
        }
        self.places.clear();
        self.texts.clear();
        self.dictionary = Dictionary::default();
        Ok(RecordBatch::try_new(Arc::clone(&self.plan.schema), columns)?)
    }
}
