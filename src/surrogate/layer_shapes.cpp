#include "surrogate/layer_shapes.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace hdap::surrogate {
namespace {

constexpr std::array kind_names{"convolution", "pointwise", "depthwise", "linear", "moving"};
constexpr std::array dense{WorkKind::convolution, WorkKind::pointwise, WorkKind::linear};
constexpr std::array hinges{0.1, 0.3, 1.0, 3.0, 10.0};

std::size_t place_of(std::int64_t padding) {
    return static_cast<std::size_t>(std::ranges::find(paddings, padding) - paddings.begin());
}

std::string name_of(WorkKind kind, const char* what, std::size_t padding) {
    const std::string name =
        fmt::format("{} {}", kind_names.at(static_cast<std::size_t>(kind)), what);
    return padding == 0 ? name : fmt::format("{}, channels in {}s", name, paddings.at(padding));
}

void add_dense(WorkKind kind, std::vector<ShapeColumn>& columns) {
    for (const std::int64_t padding : {1, 8, 32, 64}) {
        const std::size_t at = place_of(padding);
        columns.push_back({kind, ShapeForm::computing, at, 0.0, name_of(kind, "computing", at)});
        if (padding <= 8)
            columns.push_back({kind, ShapeForm::moving, at, 0.0, name_of(kind, "memory", at)});
        for (const double hinge : hinges)
            columns.push_back(
                {kind, ShapeForm::hinge, at, hinge,
                 name_of(kind, fmt::format("computing or {} x memory", hinge).c_str(), at)});
    }
    columns.push_back({kind, ShapeForm::unaligned, 0, 0.0, name_of(kind, "unaligned", 0)});
}

void add_light(WorkKind kind, bool computes, std::vector<ShapeColumn>& columns) {
    for (const std::int64_t padding : {1, 8}) {
        const std::size_t at = place_of(padding);
        if (computes)
            columns.push_back(
                {kind, ShapeForm::computing, at, 0.0, name_of(kind, "computing", at)});
        columns.push_back({kind, ShapeForm::moving, at, 0.0, name_of(kind, "memory", at)});
    }
}

std::vector<ShapeColumn> all_columns() {
    std::vector<ShapeColumn> columns;
    for (std::size_t kind = 0; kind < kind_names.size(); ++kind) {
        const auto of = static_cast<WorkKind>(kind);
        columns.push_back({of, ShapeForm::roofline, 0, 0.0, name_of(of, "roofline", 0)});
    }
    columns.push_back({WorkKind::moving, ShapeForm::launch, 0, 0.0, "launch"});
    for (const WorkKind kind : dense)
        add_dense(kind, columns);
    add_light(WorkKind::depthwise, true, columns);
    add_light(WorkKind::moving, false, columns);
    return columns;
}

} // namespace

const std::vector<ShapeColumn>& shape_columns() {
    static const std::vector<ShapeColumn> columns = all_columns();
    return columns;
}

std::size_t column_of(WorkKind kind, ShapeForm form, std::size_t padding) {
    const auto& columns = shape_columns();
    const auto found = std::ranges::find_if(columns, [&](const ShapeColumn& column) {
        return column.kind == kind && column.form == form && column.padding == padding;
    });
    if (found == columns.end()) throw core::InternalError("layers of this kind have no such term");
    return static_cast<std::size_t>(found - columns.begin());
}

double column_ms(const ShapeColumn& column, const PaddedWork& work, const LogRates& rates,
                 RooflineForm form) {
    if (column.form == ShapeForm::launch) return rates[rate_launch];
    if (work.at.front().kind != column.kind) return 0.0;
    const std::size_t padding = column.form == ShapeForm::roofline ? form.padding : column.padding;
    const LayerTimes times = layer_times(work.at[padding], rates, form.overlap);
    switch (column.form) {
    case ShapeForm::roofline:
        return times.joined;
    case ShapeForm::computing:
        return times.computing;
    case ShapeForm::moving:
        return times.moving;
    case ShapeForm::hinge:
        return std::max(times.computing, column.hinge * times.moving);
    case ShapeForm::unaligned:
        return work.is_unaligned ? times.computing : 0.0;
    case ShapeForm::launch:
        break;
    }
    return 0.0;
}

Eigen::VectorXd roofline_weights() {
    const auto& columns = shape_columns();
    Eigen::VectorXd weights = Eigen::VectorXd::Zero(static_cast<Eigen::Index>(columns.size()));
    for (std::size_t c = 0; c < columns.size(); ++c)
        if (columns[c].form == ShapeForm::roofline || columns[c].form == ShapeForm::launch)
            weights[static_cast<Eigen::Index>(c)] = 1.0;
    return weights;
}

Eigen::VectorXd column_sums_ms(std::span<const PaddedWork> layers, const LogRates& log_rates,
                               RooflineForm form) {
    const auto& columns = shape_columns();
    const LogRates rates = log_rates.array().exp();
    Eigen::VectorXd sums = Eigen::VectorXd::Zero(static_cast<Eigen::Index>(columns.size()));
    for (const PaddedWork& layer : layers)
        for (std::size_t c = 0; c < columns.size(); ++c)
            sums[static_cast<Eigen::Index>(c)] += column_ms(columns[c], layer, rates, form);
    return sums;
}

} // namespace hdap::surrogate
