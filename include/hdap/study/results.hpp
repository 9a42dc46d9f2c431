#pragma once

#include "hdap/storage/hdf5.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace hdap::study {

/// Root attribute `schema` of results.h5.
inline constexpr const char* results_schema = "hdap-results/1";

/// One number that a study ends with.
struct ResultMetric {
    std::string name; ///< "hypervolume", "speedup_at_drop_0.01", …
    std::string unit; ///< "1", "ms", "s", …
    double value = 0.0;
    bool operator==(const ResultMetric&) const = default;
};

/// A column of the history, one value per generation, or of the rounds, one value each.
struct ResultSeries {
    std::string name;
    std::string unit;
    std::vector<double> values;
    bool operator==(const ResultSeries&) const = default;
};

/// How the networks of front.csv keep the constraints by what was found of them, rather than
/// predicted. Of a study without constraints, empty.
struct ResultBounds {
    std::vector<std::string> constraints; ///< as the user wrote them
    std::vector<double> limit;            ///< [constraint] in its metric's unit; NaN: not known
    std::vector<std::string> safer;       ///< [constraint] what to search with instead, or ""
    std::vector<std::string> networks;    ///< ids
    std::vector<std::string> holds;       ///< [network] "yes", "no", "unknown"
    std::vector<double> found;            ///< [network][constraint], as `limit`
    bool operator==(const ResultBounds&) const = default;
};

/// What a complete study comes down to: what ablations compare.
struct Results {
    std::vector<ResultMetric> final_metrics; ///< same bits for any ranks, threads, interruptions
    std::vector<ResultMetric> costs;         ///< what it took: seconds, evaluations, measurements
    std::vector<ResultSeries> history;       ///< all of one length
    ResultBounds bounds = {};                ///< for people: not compared
    std::vector<ResultSeries> rounds = {};   ///< what each round chose; for people
};

/// Layout: /final/{name,unit,value}, /cost/{name,unit,value}, /history/<name> with attribute
/// `unit`, where there are constraints /bounds/<field of ResultBounds>, and where there are rounds
/// /rounds/<name> as the history. The caller adds the file's identity.
void write_results(storage::Hdf5Writer& file, const Results& results);

/// All but bounds and rounds. Throws DataError when columns are missing or of different lengths.
Results read_results(const storage::Hdf5Reader& file);

} // namespace hdap::study
