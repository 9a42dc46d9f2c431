#include "hdap/core/check.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace hdap::core {
namespace {

/// " on rank 3" in a process that mpirun or srun started, or nothing.
std::string rank_text() {
    for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"})
        if (const char* rank = std::getenv(name)) return fmt::format(" on rank {}", rank);
    return "";
}

} // namespace

void fail_check(std::string_view expression, std::string_view names,
                std::initializer_list<CheckedValue> values, std::source_location where) {
    std::vector<std::string> texts;
    for (const CheckedValue& value : values)
        texts.push_back(value.text);
    const std::string shown = texts.empty() ? "" : fmt::format("; {} = {}", names, join(texts));
    const std::string line =
        fmt::format("hdap: check failed{}: {}{} ({}, {}:{})\n", rank_text(), expression, shown,
                    where.function_name(), where.file_name(), where.line());
    std::fputs(line.c_str(), stderr); // one write, so that the lines of ranks do not mix
    std::abort();
}

} // namespace hdap::core
