#pragma once

#include "surrogate/roofline.hpp"

#include <Eigen/Core>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace hdap::surrogate {

/// What a layer's time may be made of.
enum class ShapeForm : std::uint8_t {
    roofline,  ///< computing and moving, joined as the devices of the SKU do
    launch,    ///< of any layer, whatever its size
    computing, ///< by channels rounded up to a padding
    moving,    ///< the same
    hinge,     ///< the longer of computing and so-many times moving
    unaligned, ///< computing, where channels are no multiple of 8
};

/// A term of a layer's time: what its form takes by a device's rates, in ms.
struct ShapeColumn {
    WorkKind kind = WorkKind::moving; ///< of the layers that have it; a launch: all
    ShapeForm form = ShapeForm::roofline;
    std::size_t padding = 0; ///< its place among `paddings`
    double hinge = 0.0;
    std::string name; ///< "convolution computing, channels in 8s"
};

/// All terms that layers are made of: for each kind the roofline, rounded channels and hinges.
const std::vector<ShapeColumn>& shape_columns();

/// The place of a column among shape_columns(). Throws InternalError where there is none.
std::size_t column_of(WorkKind kind, ShapeForm form, std::size_t padding = 0);

/// What a column takes of a layer, in ms; 0 where the layer is of another kind. `rates`: not their
/// logs.
double column_ms(const ShapeColumn& column, const PaddedWork& work, const LogRates& rates,
                 RooflineForm form);

/// Weights of the columns that make up the roofline alone.
Eigen::VectorXd roofline_weights();

/// [column] what the layers of a candidate take, together, in ms.
Eigen::VectorXd column_sums_ms(std::span<const PaddedWork> layers, const LogRates& log_rates,
                               RooflineForm form);

} // namespace hdap::surrogate
