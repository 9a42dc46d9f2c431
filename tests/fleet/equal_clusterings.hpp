#pragma once

#include "hdap/fleet/clustering.hpp"

#include <catch2/catch.hpp>

namespace hdap::fleet::testing {

/// Checks all that two clusterings have, but which former clusters they kept.
inline void check_equal(const Clustering& a, const Clustering& b) {
    CHECK(a.metric == b.metric);
    CHECK(a.cluster_of_device == b.cluster_of_device);
    CHECK(a.assigned_cluster == b.assigned_cluster);
    CHECK(a.cluster_weight == b.cluster_weight);
    CHECK(a.device_ratio == b.device_ratio);
    CHECK(a.cluster_mean_ratio == b.cluster_mean_ratio);
    CHECK(a.representatives == b.representatives);
    CHECK(a.blend_of_device == b.blend_of_device);
    CHECK(a.blends == b.blends);
    CHECK(a.cluster_blend == b.cluster_blend);
    CHECK(a.method == b.method);
    CHECK(a.facts == b.facts);
    CHECK(a.held_out == b.held_out);
    CHECK(a.stability == b.stability);
}

} // namespace hdap::fleet::testing
