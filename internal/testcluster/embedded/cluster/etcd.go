package cluster

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const etcdTimeout = 30 * time.Second

// startEtcd runs one member on unix sockets: no port is taken, and other users of the machine cannot reach it.
func (c *Cluster) startEtcd() error {
	config := embed.NewConfig()
	config.Dir = c.dir.Join("etcd")
	config.Name = "jina-testcluster"
	client := url.URL{Scheme: "unix", Path: c.dir.Join(etcdSocket)}
	peer := url.URL{Scheme: "unix", Path: c.dir.Join(etcdPeerSocket)}
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	// State has to survive a stop, not a power failure.
	config.UnsafeNoFsync = true
	config.QuotaBackendBytes = 4 << 30
	config.AutoCompactionMode, config.AutoCompactionRetention = "revision", "10000"
	// A single member elects itself: there is nobody to wait a second for.
	config.TickMs, config.ElectionMs = 20, 200
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(zapcore.NewCore(encoder, zapcore.AddSync(c.log), zapcore.ErrorLevel)))

	e, err := embed.StartEtcd(config)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	c.stops = append(c.stops, func() error { e.Close(); return nil })
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		return fmt.Errorf("etcd: %w", err)
	case <-time.After(etcdTimeout):
		return fmt.Errorf("etcd: not ready within %s", etcdTimeout)
	}
	c.run("etcd", func() error {
		select {
		case <-e.Server.StopNotify():
			return nil
		case err, ok := <-e.Err():
			if !ok {
				return nil
			}
			return errors.Join(errors.New("etcd server"), err)
		}
	})
	return nil
}
