import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import org.apache.iceberg.catalog.Catalog;
import org.apache.iceberg.catalog.Namespace;
import org.apache.iceberg.rest.RESTCatalog;
import org.apache.iceberg.view.ViewCatalogTests;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Iceberg's own behaviour tests of views, on a running Headwater. */
public class HeadwaterViewTests extends ViewCatalogTests<RESTCatalog> {
  private RESTCatalog catalog;

  @BeforeEach
  void before() {
    catalog = HeadwaterCatalogTests.connect("headwater", Map.of());
    HeadwaterCatalogTests.clear(catalog, Namespace.empty());
  }

  @AfterEach
  void after() throws Exception {
    catalog.close();
  }

  @Override
  @Test
  public void createAndReplaceViewWithLocation() {
    assertThatThrownBy(super::createAndReplaceViewWithLocation).hasMessageContaining("file:/");
  }

  @Override
  @Test
  public void createViewWithCustomMetadataLocation() {
    assertThatThrownBy(super::createViewWithCustomMetadataLocation).hasMessageContaining("_foreign");
  }

  @Override
  @Test
  public void updateViewLocation() {
    assertThatThrownBy(super::updateViewLocation).hasMessageContaining("file:/");
  }

  @Override
  protected RESTCatalog catalog() {
    return catalog;
  }

  @Override
  protected Catalog tableCatalog() {
    return catalog;
  }

  @Override
  protected boolean requiresNamespaceCreate() {
    return true;
  }

  @Override
  protected boolean supportsServerSideRetry() {
    return true;
  }

  @Override
  protected boolean overridesRequestedLocation() {
    return true;
  }
}
