#define HDAP_VECTOR_BYTES 16
#define HDAP_ROWS 1
#define HDAP_COLUMNS 2
#include "filter_products_body.hpp"

const FilterProducts& portable_filter_products() {
    return products;
}

} // namespace hdap::network
