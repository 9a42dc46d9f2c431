#pragma once

#include "hdap/fleet/clustering.hpp"

namespace hdap::fleet {

/// The paper's way to group.
inline ClusteringParameters by_density() {
    ClusteringParameters parameters;
    parameters.method = "dbscan";
    parameters.metric = MetricChoice::level;
    parameters.blending = Blending::never;
    return parameters;
}

} // namespace hdap::fleet
