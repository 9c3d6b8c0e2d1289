/* Units of a block, whose gates stand side by side where a layer is packed: as many as
 * floats fill a cache line. */
#define BLOCK_UNITS 16
