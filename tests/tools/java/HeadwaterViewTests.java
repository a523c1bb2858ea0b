import java.util.Map;
import org.apache.iceberg.catalog.Catalog;
import org.apache.iceberg.catalog.Namespace;
import org.apache.iceberg.rest.RESTCatalog;
import org.apache.iceberg.view.ViewCatalogTests;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Disabled;

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
  @Disabled("wants files outside of the warehouse")
  public void createAndReplaceViewWithLocation() {}

  @Override
  @Disabled("wants files outside of the warehouse")
  public void createViewWithCustomMetadataLocation() {}

  @Override
  @Disabled("wants files outside of the warehouse")
  public void updateViewLocation() {}

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
