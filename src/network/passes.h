/* The network in one precision: the body of float.c and double.c, which export the table
 * engine_float or engine_double. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../kernels/kernels.h"
#include "../tuning.h"
#include "arena.h"
#include "engine.h"
#include "losses.h"
#include "plan.h"
#include "task.h"
#include "team.h"

#include "chain.h"

#include "steps.h"
#include "dropout.h"
#include "int8.h"
#include "layer.h"
#include "layer_products.h"
#include "projection.h"
#include "layer_norm.h"
#include "layer_steps.h"
#include "shard.h"
#include "inputs.h"
#include "stack.h"
#include "pooling.h"
#include "head.h"
#include "chain_loss.h"
#include "wide_head.h"
#include "network.h"
#include "packing.h"
#include "phases.h"
#include "stream.h"

const engine JOIN(engine, PRECISION_NAME) = {
    phases,
    sizeof(phases) / sizeof(phases[0]),
    worker_bytes,
    lane_bytes,
    sizeof(stream),
    stream_open,
    stream_step,
    stream_load,
    stream_store,
};
