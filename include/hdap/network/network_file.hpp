#pragma once

#include "hdap/network/pruned_network.hpp"
#include "hdap/storage/hdf5.hpp"

#include <string>

namespace hdap::network {

inline constexpr const char* network_schema = "hdap-network/1";

/// The graph as JSON, which network_from_json reads back to the same graph:
///
///     {"name": "resnet20", "input": [32, 32], "outputs": ["linear"], "nodes": [
///       {"name": "input", "op": "input", "output_channels": 3},
///       {"name": "conv1", "op": "conv2d", "inputs": ["input"], "output_channels": 16,
///        "kernel": [3, 3], "padding": [1, 1]}, …]}
///
/// Names of operators are operator_name's, names of fields are Node's; those that have their
/// default value are left out.
std::string network_as_json(const Network& network);

/// Throws DataError for text that is not JSON, unknown fields and operators (says the nearest),
/// wrong types, inputs that are no earlier node, and all that infer_shapes refuses. `source` stands
/// for the text in messages.
Network network_from_json(const std::string& text, const std::string& source);

/// Writes the graph as "/graph": its JSON, a data set of one string.
void write_graph(storage::Hdf5Writer& file, const Network& network);

/// Reads what write_graph wrote. Throws DataError when it is missing or broken.
Network read_graph(const storage::Hdf5Reader& file);

/// Writes the graph (see write_graph) and the weights below "/parameters" (see write_weights). The
/// caller writes the file's identity.
void write_network(storage::Hdf5Writer& file, const PrunedNetwork& network);

/// Reads what write_network wrote.
/// Throws DataError when the graph is missing or broken, or the weights do not fit it, and as
/// check_values.
PrunedNetwork read_network(const storage::Hdf5Reader& file);

} // namespace hdap::network
