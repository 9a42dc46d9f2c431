#pragma once

#include "hdap/network/search_space.hpp"

#include <cstddef>
#include <cstdint>
#include <istream>
#include <string>
#include <vector>

namespace hdap::fleet {

/// Latencies of candidates on devices that somebody has measured. Not every candidate need be
/// measured on every device.
struct RecordedTable {
    std::vector<std::string> device_ids; ///< in the order of their first lines
    std::vector<network::Genome>
        genomes; ///< the unpruned network, then in the order of their lines
    /// Device i has the measurements [first[i], first[i + 1]), ascending by genome.
    std::vector<std::size_t> first;
    std::vector<std::uint32_t> genome;
    std::vector<double> latency_ms;

    [[nodiscard]] std::size_t devices() const noexcept { return device_ids.size(); }

    /// Not a number where it was not measured. Complexity: O(log genomes).
    [[nodiscard]] double latency_of(std::size_t device, std::size_t genome_index) const;
};

/// Reads a table in comma-separated form. The first line names the columns, in any order:
/// device_id, latency_ms, keep_<group> for every pruning group of `space` (channels kept, as in
/// front.csv), and run where a line is to be told from its repetitions; others are ignored. A
/// candidate's latency on a device is the median of its lines.
///
/// Throws DataError as "name:line: …" for a malformed line, a value out of range, a candidate that
/// is not in the search space, a repeated (device, candidate, run); as "name: …" when there is no
/// line, or a device lacks the unpruned network.
/// Complexity: O(rows · (groups + log rows)) time, O(rows · groups) memory whatever the file holds.
RecordedTable parse_recorded(std::istream& input, const std::string& name,
                             const network::SearchSpace& space);

/// SHA-256 of all that a table says.
std::string sha256_of(const RecordedTable& table);

} // namespace hdap::fleet
