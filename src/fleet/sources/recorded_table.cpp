#include "fleet/sources/recorded_table.hpp"

#include "fleet/csv_reader.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

namespace hdap::fleet {
namespace {

const std::string keep_prefix = "keep_";

/// Where the columns are.
struct Columns {
    Columns(const CsvReader& file, const network::SearchSpace& space)
        : device(file.column("device_id")), latency(file.column("latency_ms")),
          run(file.find("run")) {
        for (const auto& group : space.groups())
            keep.push_back(file.column(keep_prefix + group.name));
        for (std::size_t c = 0; c < file.columns().size(); ++c)
            if (file.columns()[c].starts_with(keep_prefix) &&
                std::find(keep.begin(), keep.end(), c) == keep.end())
                file.fail(fmt::format("column {} is of no pruning group of the study's network; is "
                                      "the table another network's?",
                                      shown(file.columns()[c])));
    }

    std::size_t device;
    std::size_t latency;
    std::optional<std::size_t> run;
    std::vector<std::size_t> keep; ///< [group]
};

/// One line.
struct Measurement {
    std::uint32_t device = 0;
    std::uint32_t genome = 0;
    std::int64_t run = 0;
    double latency_ms = 0.0;
    std::int64_t line = 0;
};

class TableReader {
  public:
    TableReader(std::istream& input, const std::string& name, const network::SearchSpace& space)
        : name_(name), space_(space),
          file_(input, name,
                fmt::format("device_id, latency_ms and keep_<group> for each of the {} pruning "
                            "groups that `hdap network info` lists",
                            space.groups().size())),
          columns_(file_, space) {
        genome_number(space.unpruned());
    }

    RecordedTable read() {
        BadLines bad(name_);
        file_.read_lines(bad, [this](std::span<const std::string> fields) {
            rows_.push_back(parse_row(fields));
        });
        sort_rows(bad);
        bad.check(file_.lines(), 0, "mend them, or leave them out");
        if (rows_.empty()) throw core::DataError(name_ + ": no measurements");
        RecordedTable table{.device_ids = devices_.names(),
                            .genomes = std::move(genomes_),
                            .first = {},
                            .genome = {},
                            .latency_ms = {}};
        fill(table);
        return table;
    }

  private:
    Measurement parse_row(std::span<const std::string> fields) {
        Measurement row;
        row.line = file_.line();
        row.latency_ms =
            file_.latency_ms(fields[columns_.latency], "latency_ms", LatencyUnit::milliseconds);
        if (columns_.run) row.run = file_.integer(fields[*columns_.run], "run");
        network::Genome genome;
        for (std::size_t g = 0; g < columns_.keep.size(); ++g)
            genome.push_back(parse_channels(fields[columns_.keep[g]], g));
        row.device = devices_.number(file_.name(fields[columns_.device], "device_id"));
        row.genome = genome_number(std::move(genome));
        return row;
    }

    std::int32_t parse_channels(const std::string& field, std::size_t g) const {
        const auto& group = space_.groups()[g];
        const std::int64_t channels = file_.integer(field, keep_prefix + group.name);
        const std::int32_t nearest = space_.nearest_allowed(g, static_cast<double>(channels));
        if (channels != nearest)
            throw BadLine(
                "a candidate that the search space does not allow",
                fmt::format("{}{} is {}, which the search space does not allow (nearest: {}, all: "
                            "{}); leave the line out, or change network.min_keep or "
                            "network.channel_divisor",
                            keep_prefix, group.name, channels, nearest, group.channels));
        return nearest;
    }

    std::uint32_t genome_number(network::Genome genome) {
        const auto [entry, is_new] =
            numbers_.try_emplace(genome, static_cast<std::uint32_t>(genomes_.size()));
        if (is_new) genomes_.push_back(std::move(genome));
        return entry->second;
    }

    /// Sorts by device, candidate and run. Runs that occur twice go to `bad`.
    void sort_rows(BadLines& bad) {
        const auto key = [](const Measurement& row) {
            return std::tuple(row.device, row.genome, row.run, row.line);
        };
        std::sort(rows_.begin(), rows_.end(),
                  [&](const Measurement& a, const Measurement& b) { return key(a) < key(b); });
        if (!columns_.run) return; // every line is a run of its own
        for (std::size_t i = 1; i < rows_.size(); ++i) {
            const Measurement& first = rows_[i - 1];
            const Measurement& twin = rows_[i];
            if (first.device == twin.device && first.genome == twin.genome && first.run == twin.run)
                bad.add(twin.line,
                        {"a repeated run",
                         fmt::format("run {} of this candidate on device {} is in line {} already; "
                                     "leave one out, or number the runs",
                                     twin.run, shown(devices_.names()[twin.device]), first.line)});
        }
    }

    void fill(RecordedTable& table) const {
        const std::span<const Measurement> rows = rows_;
        for (std::size_t begin = 0; begin < rows.size();) {
            std::size_t end = begin + 1;
            while (end < rows.size() && rows[end].device == rows[begin].device &&
                   rows[end].genome == rows[begin].genome)
                ++end;
            const bool new_device = table.first.size() == rows[begin].device;
            if (new_device) table.first.push_back(table.genome.size());
            if (new_device && rows[begin].genome != 0)
                throw core::DataError(fmt::format(
                    "{}: device {} lacks the unpruned network, all of whose channels are kept; "
                    "measure it there, or leave the device out",
                    name_, shown(table.device_ids[rows[begin].device])));
            table.genome.push_back(rows[begin].genome);
            table.latency_ms.push_back(median_of(rows.subspan(begin, end - begin)));
            begin = end;
        }
        table.first.push_back(table.genome.size());
    }

    static double median_of(std::span<const Measurement> rows) {
        std::vector<double> latencies;
        for (const Measurement& row : rows)
            latencies.push_back(row.latency_ms);
        return core::median(std::move(latencies));
    }

    const std::string& name_;
    const network::SearchSpace& space_;
    CsvReader file_;
    Columns columns_;
    NameTable devices_;
    std::map<network::Genome, std::uint32_t> numbers_;
    std::vector<network::Genome> genomes_;
    std::vector<Measurement> rows_;
};

} // namespace

double RecordedTable::latency_of(std::size_t device, std::size_t genome_index) const {
    const auto begin = genome.begin() + static_cast<std::ptrdiff_t>(first[device]);
    const auto end = genome.begin() + static_cast<std::ptrdiff_t>(first[device + 1]);
    const auto found = std::lower_bound(begin, end, genome_index);
    if (found == end || *found != genome_index) return std::numeric_limits<double>::quiet_NaN();
    return latency_ms[static_cast<std::size_t>(found - genome.begin())];
}

RecordedTable parse_recorded(std::istream& input, const std::string& name,
                             const network::SearchSpace& space) {
    return TableReader(input, name, space).read();
}

std::string sha256_of(const RecordedTable& table) {
    core::Sha256 hash;
    for (const network::Genome& genome : table.genomes)
        hash.update(fmt::format("{}\n", fmt::join(genome, ",")));
    for (std::size_t device = 0; device < table.devices(); ++device) {
        const std::string& id = table.device_ids[device];
        hash.update(fmt::format("{} {}\n", id.size(), id));
        for (std::size_t i = table.first[device]; i < table.first[device + 1]; ++i)
            hash.update(
                fmt::format("{} {}\n", table.genome[i], core::shortest(table.latency_ms[i])));
    }
    return hash.hex_digest();
}

} // namespace hdap::fleet
